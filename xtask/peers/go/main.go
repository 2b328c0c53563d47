// Checks a server through github.com/go-zookeeper/zk; see ../README.md for what is printed.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"reflect"
	"sort"
	"time"

	"github.com/go-zookeeper/zk"
)

const root = "/peers-go"

var (
	address string
	open    = zk.WorldACL(zk.PermAll)
	failed  int
)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

func connect() *zk.Conn {
	dialer := zk.WithDialer(net.DialTimeout)
	if folder := os.Getenv("TENURE_PEER_CERTS"); folder != "" {
		dialer = zk.WithDialer(encrypted(folder))
	}
	conn, _, err := zk.Connect([]string{address}, 20*time.Second, zk.WithLogger(quiet{}), dialer)
	must(err)
	until("connected", func() bool { return conn.State() == zk.StateHasSession })
	return conn
}

// Dials with TLS, by a folder as `tenure certs` makes it.
func encrypted(folder string) zk.Dialer {
	own, err := tls.LoadX509KeyPair(folder+"/client-peer.pem", folder+"/client-peer.pem")
	must(err)
	authority, err := os.ReadFile(folder + "/ca.pem")
	must(err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	config := &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: trusted}
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		return tls.DialWithDialer(&net.Dialer{Timeout: timeout}, network, address, config)
	}
}

// A check fails by panicking.
func check(name string, body func()) {
	defer func() {
		if reason := recover(); reason != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", name, reason)
			return
		}
		fmt.Printf("ok %s\n", name)
	}()
	body()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(what string, got, want interface{}) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("%s is %v, not %v", what, got, want))
	}
}

func refused(got error, want error) {
	if !errors.Is(got, want) {
		panic(fmt.Sprintf("the error is %v, not %v", got, want))
	}
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
			equal("event", event.Type, kind)
			equal("event path", event.Path, path)
			return
		case <-time.After(15 * time.Second):
			panic("no event")
		}
	}
}

func create(conn *zk.Conn, name string, flags int32) string {
	made, err := conn.Create(root+name, []byte("data of "+name), flags, open)
	must(err)
	return made
}

func main() {
	address = os.Args[1]
	conn := connect()
	removeAll(conn, root)
	_, err := conn.Create(root, nil, 0, open)
	must(err)
	creating(conn)
	writing(conn)
	watching(conn)
	together(conn)
	protecting(conn)
	sessions(conn)
	removeAll(conn, root)
	conn.Close()
	fmt.Printf("done %d\n", failed)
}

func creating(conn *zk.Conn) {
	check("create persistent", func() {
		equal("path", create(conn, "/persistent", 0), root+"/persistent")
		data, stat, err := conn.Get(root + "/persistent")
		must(err)
		equal("data", string(data), "data of /persistent")
		equal("length", stat.DataLength, int32(19))
		equal("owner", stat.EphemeralOwner, int64(0))
		equal("mzxid", stat.Mzxid, stat.Czxid)
	})
	check("create ephemeral", func() {
		create(conn, "/ephemeral", zk.FlagEphemeral)
		_, stat, err := conn.Exists(root + "/ephemeral")
		must(err)
		equal("owner", stat.EphemeralOwner, conn.SessionID())
		_, err = conn.Create(root+"/ephemeral/child", nil, 0, open)
		refused(err, zk.ErrNoChildrenForEphemerals)
	})
	check("create sequential", func() {
		create(conn, "/queue", 0)
		equal("first", create(conn, "/queue/n-", zk.FlagSequence), root+"/queue/n-0000000000")
		flags := int32(zk.FlagSequence | zk.FlagEphemeral)
		equal("second", create(conn, "/queue/n-", flags), root+"/queue/n-0000000001")
	})
	check("create protected", func() {
		made, err := conn.CreateProtectedEphemeralSequential(root+"/queue/lock-", nil, open)
		must(err)
		equal("end", made[len(made)-10:], "0000000002")
	})
	check("create container", func() {
		made, err := conn.CreateContainer(root+"/container", nil, zk.FlagContainer, open)
		must(err)
		equal("path", made, root+"/container")
	})
	check("create with TTL", func() {
		flags := int32(zk.FlagPersistentSequentialWithTTL)
		made, err := conn.CreateTTL(root+"/ttl-", nil, flags, open, time.Hour)
		must(err)
		equal("prefix", made[:len(root)+5], root+"/ttl-")
		made, err = conn.CreateTTL(root+"/ttl", nil, zk.FlagTTL, open, time.Hour)
		must(err)
		equal("path", made, root+"/ttl")
	})
	check("create refuses", func() {
		_, err := conn.Create(root+"/persistent", nil, 0, open)
		refused(err, zk.ErrNodeExists)
		_, err = conn.Create(root+"/no/parent", nil, 0, open)
		refused(err, zk.ErrNoNode)
		_, err = conn.Create(root+"/acl", nil, 0, nil)
		refused(err, zk.ErrInvalidACL)
	})
}

func writing(conn *zk.Conn) {
	file := root + "/persistent"
	check("set and get", func() {
		stat, err := conn.Set(file, []byte("new"), 0)
		must(err)
		equal("version", stat.Version, int32(1))
		data, _, err := conn.Get(file)
		must(err)
		equal("data", string(data), "new")
		_, err = conn.Set(file, nil, 0)
		refused(err, zk.ErrBadVersion)
		_, err = conn.Set(root+"/none", nil, -1)
		refused(err, zk.ErrNoNode)
	})
	check("large data", func() {
		large := make([]byte, 1<<20-1000)
		large[77] = 7
		_, err := conn.Set(file, large, -1)
		must(err)
		data, _, err := conn.Get(file)
		must(err)
		equal("data is the same", reflect.DeepEqual(data, large), true)
		_, err = conn.Set(file, nil, -1)
		must(err)
	})
	check("children", func() {
		names, stat, err := conn.Children(root + "/queue")
		must(err)
		equal("number", len(names), 3)
		equal("children in stat", stat.NumChildren, int32(3))
		equal("cversion", stat.Cversion, int32(3))
	})
	check("delete", func() {
		refused(conn.Delete(root+"/queue", -1), zk.ErrNotEmpty)
		create(conn, "/gone", 0)
		refused(conn.Delete(root+"/gone", 1), zk.ErrBadVersion)
		must(conn.Delete(root+"/gone", 0))
		refused(conn.Delete(root+"/gone", -1), zk.ErrNoNode)
	})
	check("sync", func() {
		_, err := conn.Sync(root)
		must(err)
	})
}

func watching(conn *zk.Conn) {
	other := connect()
	defer other.Close()
	file := root + "/watched"
	check("watch creation", func() {
		exists, _, events, err := conn.ExistsW(file)
		must(err)
		equal("exists", exists, false)
		create(other, "/watched", 0)
		next(events, zk.EventNodeCreated, file)
	})
	check("watch data", func() {
		_, _, events, err := conn.GetW(file)
		must(err)
		_, err = other.Set(file, nil, -1)
		must(err)
		next(events, zk.EventNodeDataChanged, file)
	})
	check("watch children", func() {
		_, _, events, err := conn.ChildrenW(file)
		must(err)
		create(other, "/watched/child", zk.FlagEphemeral)
		next(events, zk.EventNodeChildrenChanged, file)
		_, _, events, err = conn.ChildrenW(file)
		must(err)
		must(other.Delete(file+"/child", -1))
		next(events, zk.EventNodeChildrenChanged, file)
	})
	check("watch deletion", func() {
		_, _, data, err := conn.GetW(file)
		must(err)
		_, _, exists, err := conn.ExistsW(file)
		must(err)
		must(other.Delete(file, -1))
		next(data, zk.EventNodeDeleted, file)
		next(exists, zk.EventNodeDeleted, file)
	})
}

func together(conn *zk.Conn) {
	a, b := root+"/multi-a", root+"/multi-b"
	check("multi", func() {
		results, err := conn.Multi(
			&zk.CreateRequest{Path: a, Data: []byte("a"), Acl: open},
			&zk.SetDataRequest{Path: a, Data: []byte("A"), Version: 0},
			&zk.CheckVersionRequest{Path: a, Version: 1},
			&zk.CreateRequest{Path: b, Acl: open},
			&zk.DeleteRequest{Path: b, Version: -1},
		)
		must(err)
		equal("created", results[0].String, a)
		equal("version", results[1].Stat.Version, int32(1))
		exists, _, err := conn.Exists(b)
		must(err)
		equal("b exists", exists, false)
	})
	check("multi fails as a whole", func() {
		results, err := conn.Multi(
			&zk.SetDataRequest{Path: a, Data: []byte("lost"), Version: -1},
			&zk.CheckVersionRequest{Path: a, Version: 9},
			&zk.DeleteRequest{Path: a, Version: -1},
		)
		refused(err, zk.ErrBadVersion)
		equal("error of the second", results[1].Error, zk.ErrBadVersion)
		data, stat, err := conn.Get(a)
		must(err)
		equal("data", string(data), "A")
		equal("version", stat.Version, int32(1))
	})
}

func protecting(conn *zk.Conn) {
	secret := root + "/secret"
	check("digest acl", func() {
		_, err := conn.Create(secret, []byte("s"), 0, zk.DigestACL(zk.PermAll, "user", "pw"))
		must(err)
		_, _, err = conn.Get(secret)
		refused(err, zk.ErrNoAuth)
		must(conn.AddAuth("digest", []byte("user:pw")))
		data, _, err := conn.Get(secret)
		must(err)
		equal("data", string(data), "s")
	})
	check("acl is read and set", func() {
		acl, _, err := conn.GetACL(secret)
		must(err)
		equal("acl", acl, zk.DigestACL(zk.PermAll, "user", "pw"))
		more := append(acl, zk.WorldACL(zk.PermRead)...)
		stat, err := conn.SetACL(secret, more, 0)
		must(err)
		equal("aversion", stat.Aversion, int32(1))
		_, err = conn.SetACL(secret, more, 0)
		refused(err, zk.ErrBadVersion)
	})
	check("acl binds others", func() {
		other := connect()
		defer other.Close()
		_, _, err := other.Get(secret)
		must(err)
		_, err = other.Set(secret, nil, -1)
		refused(err, zk.ErrNoAuth)
		must(other.AddAuth("digest", []byte("user:wrong")))
		_, err = other.Set(secret, nil, -1)
		refused(err, zk.ErrNoAuth)
	})
	check("auth acl", func() {
		_, err := conn.Create(root+"/mine", nil, 0, zk.AuthACL(zk.PermAll))
		must(err)
		acl, _, err := conn.GetACL(root + "/mine")
		must(err)
		equal("scheme", acl[0].Scheme, "digest")
	})
}

func sessions(conn *zk.Conn) {
	check("ephemerals vanish with their session", func() {
		other := connect()
		create(other, "/theirs", zk.FlagEphemeral)
		_, _, events, err := conn.ExistsW(root + "/theirs")
		must(err)
		other.Close()
		next(events, zk.EventNodeDeleted, root+"/theirs")
	})
	check("session survives a restart of the server", func() {
		id := conn.SessionID()
		_, _, events, err := conn.GetW(root + "/persistent")
		must(err)
		fmt.Println("restart")
		_, err = bufio.NewReader(os.Stdin).ReadString('\n')
		must(err)
		var stat *zk.Stat
		until("served again", func() bool {
			_, stat, err = conn.Exists(root + "/ephemeral")
			return err == nil
		})
		equal("session id", conn.SessionID(), id)
		equal("owner", stat.EphemeralOwner, id)
		_, err = conn.Set(root+"/persistent", nil, -1)
		must(err)
		next(events, zk.EventNodeDataChanged, root+"/persistent")
	})
	check("auth survives a restart of the server", func() {
		_, err := conn.Set(root+"/mine", []byte("still mine"), -1)
		must(err)
	})
}

func removeAll(conn *zk.Conn, node string) {
	names, _, err := conn.Children(node)
	if errors.Is(err, zk.ErrNoNode) {
		return
	}
	must(err)
	sort.Strings(names)
	for _, name := range names {
		removeAll(conn, path.Join(node, name))
	}
	must(conn.Delete(node, -1))
}
