package main

import (
	"io"
	"net"
)

// forward listens on a port and connects each caller with the other port of this machine, until it is ended.
func forward(port, target string) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	for {
		caller, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer caller.Close()
			server, err := net.Dial("tcp", "127.0.0.1:"+target)
			if err != nil {
				return
			}
			defer server.Close()
			done := make(chan struct{}, 2)
			pass := func(to, from net.Conn) {
				io.Copy(to, from)
				to.(*net.TCPConn).CloseWrite()
				done <- struct{}{}
			}
			go pass(server, caller)
			go pass(caller, server)
			<-done
			<-done
		}()
	}
}
