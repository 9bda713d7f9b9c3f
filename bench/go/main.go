// One process of a cell in Go: a goroutine per connection, and the net package.
//
// A request is a line, `id command arguments...`, and its reply a line of JSON, as bench/child.ts
// has them. docs/benchmarking.md lists the commands.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type load struct {
	server      bool
	messageSize int
	connections int
	path        string
}

// One end of a workload.
type role interface {
	verify()
	start()
	stop(peer int64) int64
	operations() int64
	bytes() int64
	latency() *latency // nil where nothing is timed
}

type sample struct {
	At         float64 `json:"at"`
	CPU        float64 `json:"cpu"`
	Operations int64   `json:"operations"`
	Bytes      int64   `json:"bytes"`
}

type window struct {
	Sample  sample   `json:"sample"`
	Latency *summary `json:"latency,omitempty"`
}

type reply struct {
	ID    int64 `json:"id"`
	Value any   `json:"value"`
}

var started = time.Now()

func now() time.Duration { return time.Since(started) }

// fail ends the measurement: the benchmark fails the cell.
func fail(reason any) {
	say(map[string]string{"fatal": fmt.Sprint(reason)})
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func say(message any) {
	line, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

func take(end role) sample {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return sample{now().Seconds(), cpu.Seconds(), end.operations(), end.bytes()}
}

func open(words []string) role {
	if len(words) != 5 {
		fail("open: bad arguments")
	}
	messageSize, err := strconv.Atoi(words[2])
	check(err)
	connections, err := strconv.Atoi(words[3])
	check(err)
	wanted := load{words[0] == "server", messageSize, connections, words[4]}
	switch words[1] {
	case "echo":
		return openEcho(wanted)
	case "one-way":
		return openOneWay(wanted)
	}
	fail("no such workload")
	return nil
}

func answer(command string, words []string, end role) any {
	switch command {
	case "verify":
		end.verify()
	case "start":
		end.start()
	case "collectGarbage":
		debug.FreeOSMemory()
	case "openWindow":
		if timed := end.latency(); timed != nil {
			timed.mark()
		}
		return take(end)
	case "closeWindow":
		closed := window{Sample: take(end)}
		if timed := end.latency(); timed != nil {
			closed.Latency = timed.summary()
		}
		return closed
	case "stop":
		var peer int64
		if len(words) > 0 {
			value, err := strconv.ParseInt(words[0], 10, 64)
			check(err)
			peer = value
		}
		return end.stop(peer)
	case "counters":
		return struct{}{}
	default:
		fail("no such command: " + command)
	}
	return nil
}

func main() {
	var end role
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		// The path comes last and may hold spaces.
		words := strings.SplitN(lines.Text(), " ", 7)
		id, err := strconv.ParseInt(words[0], 10, 64)
		check(err)
		var value any
		switch {
		case words[1] == "probe":
			value = map[string]string{"version": runtime.Version()}
		case words[1] == "open":
			end = open(words[2:])
		case end == nil:
			fail("nothing is open")
		default:
			value = answer(words[1], words[2:], end)
		}
		say(reply{id, value})
	}
}
