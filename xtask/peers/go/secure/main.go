// Checks how github.com/go-zookeeper/zk proves who it is; see ../../README.md for what is printed.
package main

import (
	"net"
	"os"
	"time"

	"github.com/go-zookeeper/zk"

	"peers/check"
	"peers/dial"
)

const root = "/secure-go"

var plain, secure, folder string

// How to dial with a certificate, or with none, trusting an authority.
func dialer(name string, authority string) zk.Dialer {
	files := dial.TLS{Authority: folder + "/" + authority + ".pem", ServerName: "localhost"}
	if name != "" {
		files.Certificate, files.Key = folder+"/"+name+".pem", folder+"/"+name+".key"
	}
	return files.Dialer()
}

// Whether a session is established in time.
func connects(address string, patience time.Duration, dialer zk.Dialer) (*zk.Conn, bool) {
	conn, events, err := dial.Connect(address, dialer)
	check.Must(err)
	for over := time.After(patience); ; {
		select {
		case event := <-events:
			if event.State == zk.StateHasSession {
				return conn, true
			}
		case <-over:
			conn.Close()
			return nil, false
		}
	}
}

func connect() *zk.Conn {
	conn, ok := connects(secure, 20*time.Second, dialer("client", "ca"))
	if !ok {
		panic("no session")
	}
	return conn
}

func staysOut(address string, dialer zk.Dialer) {
	if conn, ok := connects(address, 3*time.Second, dialer); ok {
		conn.Close()
		panic("a session was established")
	}
}

func main() {
	plain, secure, folder = os.Args[1], os.Args[2], os.Args[3]
	world := zk.WorldACL(zk.PermAll)
	check.That("mutual TLS", func() {
		conn := connect()
		defer conn.Close()
		_, err := conn.Create(root, []byte("over TLS"), 0, world)
		check.Must(err)
		data, _, err := conn.Get(root)
		check.Must(err)
		check.Equal("data", string(data), "over TLS")
	})
	check.That("no certificate is refused", func() { staysOut(secure, dialer("", "ca")) })
	check.That("a stranger's certificate is refused", func() {
		staysOut(secure, dialer("stranger", "ca"))
	})
	check.That("a server of another authority is refused", func() {
		staysOut(secure, dialer("client", "other-ca"))
	})
	check.That("plain text to the secure port is refused", func() {
		staysOut(secure, net.DialTimeout)
	})
	check.That("TLS to the plain port is refused", func() {
		staysOut(plain, dialer("client", "ca"))
	})
	check.That("digest over TLS", func() {
		owner, other := connect(), connect()
		defer owner.Close()
		defer other.Close()
		check.Must(owner.AddAuth("digest", []byte("user:password")))
		node := root + "/digest"
		// Not "auth": the certificate may be an identity too, and both show the same.
		_, err := owner.Create(node, nil, 0, zk.DigestACL(zk.PermAll, "user", "password"))
		check.Must(err)
		_, _, err = other.Get(node)
		check.Refused(err, zk.ErrNoAuth)
		check.Must(other.AddAuth("digest", []byte("user:wrong")))
		_, _, err = other.Get(node)
		check.Refused(err, zk.ErrNoAuth)
		check.Must(other.AddAuth("digest", []byte("user:password")))
		_, _, err = other.Get(node)
		check.Must(err)
	})
	check.That("an unknown scheme fails", func() {
		conn := connect()
		defer conn.Close()
		check.Refused(conn.AddAuth("nosuch", []byte("user:password")), zk.ErrAuthFailed)
	})
	check.Done()
}
