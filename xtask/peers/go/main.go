// Checks a server through github.com/go-zookeeper/zk; see ../README.md for what is printed.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"reflect"
	"sort"
	"time"

	"github.com/go-zookeeper/zk"

	"peers/check"
	"peers/dial"
)

const root = "/peers-go"

var (
	address string
	open    = zk.WorldACL(zk.PermAll)
)

func connect() *zk.Conn {
	dialer := zk.Dialer(net.DialTimeout)
	// A folder as `tenure certs` makes it, if connections are to be encrypted.
	if folder := os.Getenv("TENURE_PEER_CERTS"); folder != "" {
		own := folder + "/client-peer.pem"
		dialer = dial.TLS{Authority: folder + "/ca.pem", Certificate: own, Key: own}.Dialer()
	}
	conn, _, err := dial.Connect(address, dialer)
	check.Must(err)
	until("connected", func() bool { return conn.State() == zk.StateHasSession })
	return conn
}

func until(what string, condition func() bool) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if condition() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	panic("never " + what)
}

func next(events <-chan zk.Event, kind zk.EventType, path string) {
	for {
		select {
		case event := <-events:
			if event.Type == zk.EventSession {
				continue
			}
			check.Equal("event", event.Type, kind)
			check.Equal("event path", event.Path, path)
			return
		case <-time.After(15 * time.Second):
			panic("no event")
		}
	}
}

func create(conn *zk.Conn, name string, flags int32) string {
	made, err := conn.Create(root+name, []byte("data of "+name), flags, open)
	check.Must(err)
	return made
}

func main() {
	address = os.Args[1]
	conn := connect()
	removeAll(conn, root)
	_, err := conn.Create(root, nil, 0, open)
	check.Must(err)
	creating(conn)
	writing(conn)
	watching(conn)
	together(conn)
	protecting(conn)
	sessions(conn)
	removeAll(conn, root)
	conn.Close()
	check.Done()
}

func creating(conn *zk.Conn) {
	check.That("create persistent", func() {
		check.Equal("path", create(conn, "/persistent", 0), root+"/persistent")
		data, stat, err := conn.Get(root + "/persistent")
		check.Must(err)
		check.Equal("data", string(data), "data of /persistent")
		check.Equal("length", stat.DataLength, int32(19))
		check.Equal("owner", stat.EphemeralOwner, int64(0))
		check.Equal("mzxid", stat.Mzxid, stat.Czxid)
	})
	check.That("create ephemeral", func() {
		create(conn, "/ephemeral", zk.FlagEphemeral)
		_, stat, err := conn.Exists(root + "/ephemeral")
		check.Must(err)
		check.Equal("owner", stat.EphemeralOwner, conn.SessionID())
		_, err = conn.Create(root+"/ephemeral/child", nil, 0, open)
		check.Refused(err, zk.ErrNoChildrenForEphemerals)
	})
	check.That("create sequential", func() {
		create(conn, "/queue", 0)
		check.Equal("first", create(conn, "/queue/n-", zk.FlagSequence), root+"/queue/n-0000000000")
		flags := int32(zk.FlagSequence | zk.FlagEphemeral)
		check.Equal("second", create(conn, "/queue/n-", flags), root+"/queue/n-0000000001")
	})
	check.That("create protected", func() {
		made, err := conn.CreateProtectedEphemeralSequential(root+"/queue/lock-", nil, open)
		check.Must(err)
		check.Equal("end", made[len(made)-10:], "0000000002")
	})
	check.That("create container", func() {
		made, err := conn.CreateContainer(root+"/container", nil, zk.FlagContainer, open)
		check.Must(err)
		check.Equal("path", made, root+"/container")
	})
	check.That("create with TTL", func() {
		flags := int32(zk.FlagPersistentSequentialWithTTL)
		made, err := conn.CreateTTL(root+"/ttl-", nil, flags, open, time.Hour)
		check.Must(err)
		check.Equal("prefix", made[:len(root)+5], root+"/ttl-")
		made, err = conn.CreateTTL(root+"/ttl", nil, zk.FlagTTL, open, time.Hour)
		check.Must(err)
		check.Equal("path", made, root+"/ttl")
	})
	check.That("create refuses", func() {
		_, err := conn.Create(root+"/persistent", nil, 0, open)
		check.Refused(err, zk.ErrNodeExists)
		_, err = conn.Create(root+"/no/parent", nil, 0, open)
		check.Refused(err, zk.ErrNoNode)
		_, err = conn.Create(root+"/acl", nil, 0, nil)
		check.Refused(err, zk.ErrInvalidACL)
	})
}

func writing(conn *zk.Conn) {
	file := root + "/persistent"
	check.That("set and get", func() {
		stat, err := conn.Set(file, []byte("new"), 0)
		check.Must(err)
		check.Equal("version", stat.Version, int32(1))
		data, _, err := conn.Get(file)
		check.Must(err)
		check.Equal("data", string(data), "new")
		_, err = conn.Set(file, nil, 0)
		check.Refused(err, zk.ErrBadVersion)
		_, err = conn.Set(root+"/none", nil, -1)
		check.Refused(err, zk.ErrNoNode)
	})
	check.That("large data", func() {
		large := make([]byte, 1<<20-1000)
		large[77] = 7
		_, err := conn.Set(file, large, -1)
		check.Must(err)
		data, _, err := conn.Get(file)
		check.Must(err)
		check.Equal("data is the same", reflect.DeepEqual(data, large), true)
		_, err = conn.Set(file, nil, -1)
		check.Must(err)
	})
	check.That("children", func() {
		names, stat, err := conn.Children(root + "/queue")
		check.Must(err)
		check.Equal("number", len(names), 3)
		check.Equal("children in stat", stat.NumChildren, int32(3))
		check.Equal("cversion", stat.Cversion, int32(3))
	})
	check.That("delete", func() {
		check.Refused(conn.Delete(root+"/queue", -1), zk.ErrNotEmpty)
		create(conn, "/gone", 0)
		check.Refused(conn.Delete(root+"/gone", 1), zk.ErrBadVersion)
		check.Must(conn.Delete(root+"/gone", 0))
		check.Refused(conn.Delete(root+"/gone", -1), zk.ErrNoNode)
	})
	check.That("sync", func() {
		_, err := conn.Sync(root)
		check.Must(err)
	})
}

func watching(conn *zk.Conn) {
	other := connect()
	defer other.Close()
	file := root + "/watched"
	check.That("watch creation", func() {
		exists, _, events, err := conn.ExistsW(file)
		check.Must(err)
		check.Equal("exists", exists, false)
		create(other, "/watched", 0)
		next(events, zk.EventNodeCreated, file)
	})
	check.That("watch data", func() {
		_, _, events, err := conn.GetW(file)
		check.Must(err)
		_, err = other.Set(file, nil, -1)
		check.Must(err)
		next(events, zk.EventNodeDataChanged, file)
	})
	check.That("watch children", func() {
		_, _, events, err := conn.ChildrenW(file)
		check.Must(err)
		create(other, "/watched/child", zk.FlagEphemeral)
		next(events, zk.EventNodeChildrenChanged, file)
		_, _, events, err = conn.ChildrenW(file)
		check.Must(err)
		check.Must(other.Delete(file+"/child", -1))
		next(events, zk.EventNodeChildrenChanged, file)
	})
	check.That("watch deletion", func() {
		_, _, data, err := conn.GetW(file)
		check.Must(err)
		_, _, exists, err := conn.ExistsW(file)
		check.Must(err)
		check.Must(other.Delete(file, -1))
		next(data, zk.EventNodeDeleted, file)
		next(exists, zk.EventNodeDeleted, file)
	})
}

func together(conn *zk.Conn) {
	a, b := root+"/multi-a", root+"/multi-b"
	check.That("multi", func() {
		results, err := conn.Multi(
			&zk.CreateRequest{Path: a, Data: []byte("a"), Acl: open},
			&zk.SetDataRequest{Path: a, Data: []byte("A"), Version: 0},
			&zk.CheckVersionRequest{Path: a, Version: 1},
			&zk.CreateRequest{Path: b, Acl: open},
			&zk.DeleteRequest{Path: b, Version: -1},
		)
		check.Must(err)
		check.Equal("created", results[0].String, a)
		check.Equal("version", results[1].Stat.Version, int32(1))
		exists, _, err := conn.Exists(b)
		check.Must(err)
		check.Equal("b exists", exists, false)
	})
	check.That("multi fails as a whole", func() {
		results, err := conn.Multi(
			&zk.SetDataRequest{Path: a, Data: []byte("lost"), Version: -1},
			&zk.CheckVersionRequest{Path: a, Version: 9},
			&zk.DeleteRequest{Path: a, Version: -1},
		)
		check.Refused(err, zk.ErrBadVersion)
		check.Equal("error of the second", results[1].Error, zk.ErrBadVersion)
		data, stat, err := conn.Get(a)
		check.Must(err)
		check.Equal("data", string(data), "A")
		check.Equal("version", stat.Version, int32(1))
	})
}

func protecting(conn *zk.Conn) {
	secret := root + "/secret"
	check.That("digest acl", func() {
		_, err := conn.Create(secret, []byte("s"), 0, zk.DigestACL(zk.PermAll, "user", "pw"))
		check.Must(err)
		_, _, err = conn.Get(secret)
		check.Refused(err, zk.ErrNoAuth)
		check.Must(conn.AddAuth("digest", []byte("user:pw")))
		data, _, err := conn.Get(secret)
		check.Must(err)
		check.Equal("data", string(data), "s")
	})
	check.That("acl is read and set", func() {
		acl, _, err := conn.GetACL(secret)
		check.Must(err)
		check.Equal("acl", acl, zk.DigestACL(zk.PermAll, "user", "pw"))
		more := append(acl, zk.WorldACL(zk.PermRead)...)
		stat, err := conn.SetACL(secret, more, 0)
		check.Must(err)
		check.Equal("aversion", stat.Aversion, int32(1))
		_, err = conn.SetACL(secret, more, 0)
		check.Refused(err, zk.ErrBadVersion)
	})
	check.That("acl binds others", func() {
		other := connect()
		defer other.Close()
		_, _, err := other.Get(secret)
		check.Must(err)
		_, err = other.Set(secret, nil, -1)
		check.Refused(err, zk.ErrNoAuth)
		check.Must(other.AddAuth("digest", []byte("user:wrong")))
		_, err = other.Set(secret, nil, -1)
		check.Refused(err, zk.ErrNoAuth)
	})
	check.That("auth acl", func() {
		_, err := conn.Create(root+"/mine", nil, 0, zk.AuthACL(zk.PermAll))
		check.Must(err)
		acl, _, err := conn.GetACL(root + "/mine")
		check.Must(err)
		check.Equal("scheme", acl[0].Scheme, "digest")
	})
}

func sessions(conn *zk.Conn) {
	check.That("ephemerals vanish with their session", func() {
		other := connect()
		create(other, "/theirs", zk.FlagEphemeral)
		_, _, events, err := conn.ExistsW(root + "/theirs")
		check.Must(err)
		other.Close()
		next(events, zk.EventNodeDeleted, root+"/theirs")
	})
	check.That("session survives a restart of the server", func() {
		id := conn.SessionID()
		_, _, events, err := conn.GetW(root + "/persistent")
		check.Must(err)
		fmt.Println("restart")
		_, err = bufio.NewReader(os.Stdin).ReadString('\n')
		check.Must(err)
		var stat *zk.Stat
		until("served again", func() bool {
			_, stat, err = conn.Exists(root + "/ephemeral")
			return err == nil
		})
		check.Equal("session id", conn.SessionID(), id)
		check.Equal("owner", stat.EphemeralOwner, id)
		_, err = conn.Set(root+"/persistent", nil, -1)
		check.Must(err)
		next(events, zk.EventNodeDataChanged, root+"/persistent")
	})
	check.That("auth survives a restart of the server", func() {
		_, err := conn.Set(root+"/mine", []byte("still mine"), -1)
		check.Must(err)
	})
}

func removeAll(conn *zk.Conn, node string) {
	names, _, err := conn.Children(node)
	if errors.Is(err, zk.ErrNoNode) {
		return
	}
	check.Must(err)
	sort.Strings(names)
	for _, name := range names {
		removeAll(conn, path.Join(node, name))
	}
	check.Must(conn.Delete(node, -1))
}
