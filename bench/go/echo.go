package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Messages checked before anything is timed, over all connections.
const verifiedMessages = 1000

// A prime, so that over time every connection is timed at every turn.
const timedEvery = 7

func listenAt(path string) *net.UnixListener {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	check(err)
	return listener
}

func connectTo(path string) *net.UnixConn {
	connection, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	check(err)
	return connection
}

func openEcho(wanted load) role {
	if wanted.server {
		return openEchoServer(wanted)
	}
	return openEchoClient(wanted)
}

// A role that has nothing to say: its process is only sampled.
type silent struct{}

func (silent) verify()               {}
func (silent) start()                {}
func (silent) stop(peer int64) int64 { return peer }
func (silent) operations() int64     { return 0 }
func (silent) bytes() int64          { return 0 }
func (silent) latency() *latency     { return nil }

func openEchoServer(wanted load) role {
	listener := listenAt(wanted.path)
	go func() {
		for {
			connection, err := listener.AcceptUnix()
			check(err)
			go echo(connection, wanted.messageSize)
		}
	}()
	return silent{}
}

func echo(connection *net.UnixConn, messageSize int) {
	buffer := make([]byte, messageSize)
	for {
		size, err := connection.Read(buffer)
		if err == io.EOF {
			return
		}
		check(err)
		_, err = connection.Write(buffer[:size])
		check(err)
	}
}

type echoClient struct {
	messageSize int
	connections []*net.UnixConn
	timedEvery  int
	running     atomic.Bool
	finished    sync.WaitGroup
	roundTrips  atomic.Int64
	times       latency
}

func openEchoClient(wanted load) role {
	client := &echoClient{messageSize: wanted.messageSize, timedEvery: timedEvery}
	if wanted.connections == 1 {
		client.timedEvery = 1
	}
	for i := 0; i < wanted.connections; i++ {
		client.connections = append(client.connections, connectTo(wanted.path))
	}
	return client
}

func exchange(connection *net.UnixConn, message, answer []byte) {
	_, err := connection.Write(message)
	check(err)
	_, err = io.ReadFull(connection, answer)
	check(err)
}

func (c *echoClient) verify() {
	each := (verifiedMessages + len(c.connections) - 1) / len(c.connections)
	var verified sync.WaitGroup
	for i, connection := range c.connections {
		verified.Add(1)
		go func(first int, connection *net.UnixConn) {
			defer verified.Done()
			answer := make([]byte, c.messageSize)
			for message := first; message < first+each; message++ {
				offset := message * c.messageSize
				exchange(connection, patternAt(offset, c.messageSize), answer)
				checkPattern(answer, offset)
			}
		}(i*each, connection)
	}
	verified.Wait()
}

func (c *echoClient) start() {
	c.running.Store(true)
	for i, connection := range c.connections {
		c.finished.Add(1)
		go c.drive(connection, i%c.timedEvery)
	}
}

func (c *echoClient) drive(connection *net.UnixConn, untilTimed int) {
	defer c.finished.Done()
	message := patternAt(0, c.messageSize)
	answer := make([]byte, c.messageSize)
	for ; c.running.Load(); untilTimed-- {
		if untilTimed > 0 {
			exchange(connection, message, answer)
		} else {
			untilTimed = c.timedEvery
			begun := time.Now()
			exchange(connection, message, answer)
			c.times.record(time.Since(begun))
		}
		c.roundTrips.Add(1)
	}
}

func (c *echoClient) stop(peer int64) int64 {
	c.running.Store(false)
	c.finished.Wait()
	return peer
}

func (c *echoClient) operations() int64 { return c.roundTrips.Load() }
func (c *echoClient) bytes() int64      { return c.roundTrips.Load() * int64(c.messageSize) }
func (c *echoClient) latency() *latency { return &c.times }
