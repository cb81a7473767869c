// Reads secrets as a workload written in Go does: with net/http, which upstream's SDK uses, over HTTP/1.1. It prints how many
// answers it got, and in how many seconds. Any other answer than 200 ends it.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	address     = flag.String("address", "", "host and port of the server")
	chain       = flag.String("chain", "", "file of the certificate, DER")
	key         = flag.String("key", "", "file of its key, PKCS #8, DER")
	connections = flag.Int("connections", 16, "how many requests are under way at a time, each on a connection of its own")
	seconds     = flag.Float64("seconds", 1, "how long to send requests")
	secrets     = flag.Uint("secrets", 1, "how many secrets there are; each read is of one of them, in no order")
	fresh       = flag.Bool("new", false, "a new connection for each request")
)

var asked atomic.Uint32

func main() {
	log.SetFlags(0)
	flag.Parse()
	client, err := newClient()
	if err != nil {
		log.Fatal(err)
	}
	begun := time.Now()
	until := begun.Add(time.Duration(*seconds * float64(time.Second)))
	var calls atomic.Int64
	var workers sync.WaitGroup
	for range *connections {
		workers.Go(func() {
			for time.Now().Before(until) {
				if err := call(client); err != nil {
					log.Fatal(err)
				}
				calls.Add(1)
			}
		})
	}
	workers.Wait()
	fmt.Println(calls.Load(), time.Since(begun).Seconds())
}

// newClient returns a client that shows the certificate, and verifies none.
func newClient() (*http.Client, error) {
	der, err := os.ReadFile(*key)
	if err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	leaf, err := os.ReadFile(*chain)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{
			Certificates:       []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: private}},
			InsecureSkipVerify: true,
		},
		DisableKeepAlives:   *fresh,
		MaxIdleConnsPerHost: *connections,
		MaxConnsPerHost:     *connections,
	}}, nil
}

func call(client *http.Client) error {
	// Secrets that are read one after the other are far apart in the database.
	number := (asked.Add(1) - 1) * 0x9e3779b1 % uint32(*secrets)
	body := fmt.Sprintf(`{"path":"bench/secret-%08d"}`, number)
	answer, err := client.Post("https://"+*address+"/v1/store/secrets?action=get", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", answer.Status)
	}
	return nil
}
