// Checks how github.com/go-zookeeper/zk proves who it is; see ../../README.md for what is printed.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/go-zookeeper/zk"
)

const root = "/secure-go"

var (
	plain, secure, folder string
	failed                int
)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

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

func refused(got error, want error) {
	if !errors.Is(got, want) {
		panic(fmt.Sprintf("the error is %v, not %v", got, want))
	}
}

// How to dial with a certificate, or with none, trusting an authority.
func dialer(name string, authority string) zk.Dialer {
	trusted := x509.NewCertPool()
	pem, err := os.ReadFile(folder + "/" + authority + ".pem")
	must(err)
	trusted.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: trusted, ServerName: "localhost"}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(folder+"/"+name+".pem", folder+"/"+name+".key")
		must(err)
		config.Certificates = []tls.Certificate{pair}
	}
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		return tls.DialWithDialer(&net.Dialer{Timeout: timeout}, network, address, config)
	}
}

// Whether a session is established in time.
func connects(address string, patience time.Duration, dial zk.Dialer) (*zk.Conn, bool) {
	conn, events, err := zk.Connect(
		[]string{address}, 20*time.Second, zk.WithLogger(quiet{}), zk.WithDialer(dial))
	must(err)
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

func staysOut(address string, dial zk.Dialer) {
	if conn, ok := connects(address, 3*time.Second, dial); ok {
		conn.Close()
		panic("a session was established")
	}
}

func main() {
	plain, secure, folder = os.Args[1], os.Args[2], os.Args[3]
	world := zk.WorldACL(zk.PermAll)
	check("mutual TLS", func() {
		conn := connect()
		defer conn.Close()
		_, err := conn.Create(root, []byte("over TLS"), 0, world)
		must(err)
		data, _, err := conn.Get(root)
		must(err)
		if string(data) != "over TLS" {
			panic("other data")
		}
	})
	check("no certificate is refused", func() { staysOut(secure, dialer("", "ca")) })
	check("a stranger's certificate is refused", func() {
		staysOut(secure, dialer("stranger", "ca"))
	})
	check("a server of another authority is refused", func() {
		staysOut(secure, dialer("client", "other-ca"))
	})
	check("plain text to the secure port is refused", func() {
		staysOut(secure, net.DialTimeout)
	})
	check("TLS to the plain port is refused", func() {
		staysOut(plain, dialer("client", "ca"))
	})
	check("digest over TLS", func() {
		owner, other := connect(), connect()
		defer owner.Close()
		defer other.Close()
		must(owner.AddAuth("digest", []byte("user:password")))
		node := root + "/digest"
		// Not "auth": the certificate may be an identity too, and both show the same.
		_, err := owner.Create(node, nil, 0, zk.DigestACL(zk.PermAll, "user", "password"))
		must(err)
		_, _, err = other.Get(node)
		refused(err, zk.ErrNoAuth)
		must(other.AddAuth("digest", []byte("user:wrong")))
		_, _, err = other.Get(node)
		refused(err, zk.ErrNoAuth)
		must(other.AddAuth("digest", []byte("user:password")))
		_, _, err = other.Get(node)
		must(err)
	})
	check("an unknown scheme fails", func() {
		conn := connect()
		defer conn.Close()
		refused(conn.AddAuth("nosuch", []byte("user:password")), zk.ErrAuthFailed)
	})
	fmt.Printf("done %d\n", failed)
}
