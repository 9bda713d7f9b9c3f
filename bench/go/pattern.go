package main

import "bytes"

// A prime, so that no message size divides it: a lost or repeated piece shows.
const period = 65_521

// The sequence that bench/pattern.ts has: mulberry32 from seed 1.
var table = func() []byte {
	made := make([]byte, period)
	state := uint32(1)
	for i := range made {
		state += 0x6d2b79f5
		mixed := (state ^ state>>15) * (state | 1)
		mixed ^= mixed + (mixed^mixed>>7)*(mixed|61)
		made[i] = byte(mixed ^ mixed>>14)
	}
	return made
}()

// patternAt has the bytes [offset, offset + length) of an endless known sequence.
func patternAt(offset, length int) []byte {
	made := make([]byte, length)
	for done := 0; done < length; {
		done += copy(made[done:], table[(offset+done)%period:])
	}
	return made
}

func checkPattern(got []byte, offset int) {
	if !bytes.Equal(got, patternAt(offset, len(got))) {
		fail("wrong bytes")
	}
}
