package main

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

const (
	verifiedBytes         = 1024 * 1024
	verifiedLargeMessages = 16
	smallestBuffer        = 64 * 1024
)

func openOneWay(wanted load) role {
	if wanted.server {
		return openWriter(wanted)
	}
	return openReader(wanted)
}

// How much is compared: whole messages.
func verifiedLength(messageSize int) int {
	length := verifiedLargeMessages * messageSize
	if length < verifiedBytes {
		length = (verifiedBytes + messageSize - 1) / messageSize * messageSize
	}
	return length
}

type writer struct {
	silent
	messageSize int
	accepted    chan *net.UnixConn
	connection  *net.UnixConn
	running     atomic.Bool
	written     chan int64
}

func openWriter(wanted load) role {
	listener := listenAt(wanted.path)
	end := &writer{
		messageSize: wanted.messageSize,
		accepted:    make(chan *net.UnixConn, 1),
		written:     make(chan int64, 1),
	}
	go func() {
		connection, err := listener.AcceptUnix()
		check(err)
		end.accepted <- connection
	}()
	return end
}

func (w *writer) verify() {
	w.connection = <-w.accepted
	for offset := 0; offset < verifiedLength(w.messageSize); offset += w.messageSize {
		_, err := w.connection.Write(patternAt(offset, w.messageSize))
		check(err)
	}
}

func (w *writer) start() {
	w.running.Store(true)
	go func() {
		message := patternAt(0, w.messageSize)
		var written int64
		for w.running.Load() {
			size, err := w.connection.Write(message)
			check(err)
			written += int64(size)
		}
		check(w.connection.CloseWrite())
		w.written <- written
	}()
}

func (w *writer) stop(int64) int64 {
	w.running.Store(false)
	return <-w.written
}

type reader struct {
	silent
	messageSize int
	connection  *net.UnixConn
	received    atomic.Int64
	ended       chan struct{}
}

func openReader(wanted load) role {
	return &reader{
		messageSize: wanted.messageSize,
		connection:  connectTo(wanted.path),
		ended:       make(chan struct{}),
	}
}

func (r *reader) verify() {
	got := make([]byte, verifiedLength(r.messageSize))
	_, err := io.ReadFull(r.connection, got)
	check(err)
	checkPattern(got, 0)
}

func (r *reader) start() {
	go func() {
		size := r.messageSize
		if size < smallestBuffer {
			size = smallestBuffer
		}
		buffer := make([]byte, size)
		for {
			got, err := r.connection.Read(buffer)
			if err == io.EOF {
				break
			}
			check(err)
			r.received.Add(int64(got))
		}
		close(r.ended)
	}()
}

func (r *reader) stop(written int64) int64 {
	<-r.ended
	if received := r.received.Load(); received != written {
		fail(fmt.Sprintf("%d bytes were written, %d received", written, received))
	}
	return 0
}

func (r *reader) operations() int64 { return r.received.Load() / int64(r.messageSize) }
func (r *reader) bytes() int64      { return r.received.Load() }
