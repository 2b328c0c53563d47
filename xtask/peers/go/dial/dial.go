// Package dial is how the checks reach a server.
package dial

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"time"

	"github.com/go-zookeeper/zk"

	"peers/check"
)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

// Connect begins a session with a server; the client prints nothing.
func Connect(address string, dialer zk.Dialer) (*zk.Conn, <-chan zk.Event, error) {
	return zk.Connect(
		[]string{address}, 20*time.Second, zk.WithLogger(quiet{}), zk.WithDialer(dialer))
}

// TLS is what connections are encrypted with.
type TLS struct {
	// Authority is the file of who vouches for the server.
	Authority string
	// Certificate and Key are the files of the client; without them it shows none.
	Certificate, Key string
	// ServerName is what the server's certificate must name, if that is not its address.
	ServerName string
}

// Dialer makes such connections.
func (files TLS) Dialer() zk.Dialer {
	authority, err := os.ReadFile(files.Authority)
	check.Must(err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	config := &tls.Config{RootCAs: trusted, ServerName: files.ServerName}
	if files.Certificate != "" {
		own, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
		check.Must(err)
		config.Certificates = []tls.Certificate{own}
	}
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		return tls.DialWithDialer(&net.Dialer{Timeout: timeout}, network, address, config)
	}
}
