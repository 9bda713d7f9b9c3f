import { contenderById } from './contenders/index.js';
import type { Cell } from './results.js';
import { formatValue } from './units.js';
import type { Workload } from './workloads/workload.js';

/** One line that is written over on a terminal, a line per cell elsewhere. */
export class Progress {
  private width = 0;

  constructor(
    private readonly output: NodeJS.WriteStream,
    private readonly workloads: readonly Workload[],
  ) {}

  show(cell: Cell, done: number, total: number, secondsLeft: number): void {
    const { workload, contender, round, inspection } = cell;
    const where = inspection ? 'inspection' : `round ${round}`;
    const outcome = this.outcomeOf(cell);
    const text = `${done}/${total}, ${formatLeft(secondsLeft)} left: ${where}, ${workload}, ${contenderById(contender).title}: ${outcome}`;
    if (!this.output.isTTY) return void this.output.write(`${text}\n`);
    const line = text.slice(0, this.output.columns - 1);
    this.output.write(`\r${line.padEnd(this.width)}`);
    this.width = line.length;
    if ('error' in cell) this.clear(true);
  }

  /** Ends the line; what failed stays in sight. */
  clear(keep = false): void {
    if (!this.output.isTTY || this.width === 0) return;
    this.output.write(keep ? '\n' : `\r${' '.repeat(this.width)}\r`);
    this.width = 0;
  }

  private outcomeOf(cell: Cell): string {
    if ('error' in cell) return `failed: ${cell.error}`;
    const headline = this.workloads.find(({ id }) => id === cell.workload)?.rows[0]?.headline;
    const value = headline && cell.metrics[headline.metric];
    return value === undefined ? 'done' : formatValue(value, headline!.unit);
  }
}

function formatLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
