package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Below 2^11 ns a bucket per nanosecond; above, 2^10 buckets for each doubling up to 2^40.
const (
	halfBits  = 10
	half      = 1 << halfBits
	doublings = 40 - halfBits - 1
	buckets   = (doublings + 2) * half
)

// Times of single operations, written by many goroutines, read by another one meanwhile.
type latency struct {
	counts [buckets]int64
	marked [buckets]int64
}

type summary struct {
	Count int64 `json:"count"`
	P50   int64 `json:"p50"`
	P90   int64 `json:"p90"`
	P99   int64 `json:"p99"`
	P999  int64 `json:"p999"`
	Max   int64 `json:"max"`
}

func (l *latency) record(took time.Duration) {
	shift := bits.Len64(uint64(took)) - halfBits - 1
	if shift < 0 {
		shift = 0
	}
	bucket := buckets - 1
	if shift <= doublings {
		bucket = shift*half + int(uint64(took)>>shift)
	}
	atomic.AddInt64(&l.counts[bucket], 1)
}

// mark is where the summary begins to count.
func (l *latency) mark() {
	for i := range l.counts {
		l.marked[i] = atomic.LoadInt64(&l.counts[i])
	}
}

// Nanoseconds.
func (l *latency) summary() *summary {
	counts := make([]int64, buckets)
	var total int64
	for i := range counts {
		counts[i] = atomic.LoadInt64(&l.counts[i]) - l.marked[i]
		total += counts[i]
	}
	percentile := func(percent float64) int64 {
		var seen int64
		for i, count := range counts {
			seen += count
			if seen > 0 && float64(seen) >= float64(total)*percent/100 {
				return largestOf(i)
			}
		}
		return 0
	}
	return &summary{
		total, percentile(50), percentile(90), percentile(99), percentile(99.9), percentile(100),
	}
}

func largestOf(bucket int) int64 {
	if bucket < 2*half {
		return int64(bucket)
	}
	shift := bucket/half - 1
	return (int64(bucket-shift*half)+1)<<shift - 1
}
