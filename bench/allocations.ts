import * as v8 from 'node:v8';

/** Bytes of JavaScript objects made since `begin`, whether collected since or not. */
export class Allocations {
  private profiler: v8.GCProfiler | undefined;
  private usedBefore = 0;

  begin(): void {
    this.profiler = new v8.GCProfiler();
    this.profiler.start();
    this.usedBefore = usedHeap();
  }

  /** What is there now, and what each collection took away. */
  end(): number {
    const statistics = this.profiler?.stop()?.statistics ?? [];
    const collected = statistics.map(
      ({ beforeGC, afterGC }) =>
        beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize,
    );
    return collected.reduce((sum, bytes) => sum + bytes, usedHeap() - this.usedBefore);
  }
}

function usedHeap(): number {
  return v8.getHeapStatistics().used_heap_size;
}
