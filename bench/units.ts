/** What a headline number counts. */
export type Unit =
  | 'round trips/s'
  | 'messages/s'
  | 'connections/s'
  | 'requests/s'
  | 'rows/s'
  | 'bytes/s'
  | 'bytes'
  | 'cores'
  | 'nanoseconds'
  | 'seconds'
  | 'descriptors/s';

/** Whether `formatValue` leaves it to the reader to know what is counted. */
export function countsThings(unit: Unit): boolean {
  return unit.endsWith('/s') && unit !== 'bytes/s';
}

/** A number as the table shows it. */
export function formatValue(value: number, unit: Unit): string {
  if (unit === 'bytes/s') {
    // Throughputs of a table are to be compared: all but those of ping-pong are in one unit.
    return value >= 1e8 || value === 0
      ? `${threeFigures(value / 1e9)} GB/s`
      : `${threeFigures(value / 1e6)} MB/s`;
  }
  if (unit === 'bytes') return formatBytes(value);
  if (unit === 'nanoseconds') return formatSeconds(value / 1e9);
  if (unit === 'seconds') return formatSeconds(value);
  if (unit === 'cores') return `${(value * 100).toFixed(2)} %`;
  if (Math.abs(value) >= 1e6) return `${threeFigures(value / 1e6)} M/s`;
  if (Math.abs(value) >= 1e3) return `${threeFigures(value / 1e3)} k/s`;
  return `${threeFigures(value)}/s`;
}

export function formatSeconds(seconds: number): string {
  if (seconds === 0) return '0 s';
  if (seconds >= 1) return `${threeFigures(seconds)} s`;
  if (seconds >= 1e-3) return `${threeFigures(seconds * 1e3)} ms`;
  if (seconds >= 1e-6) return `${threeFigures(seconds * 1e6)} µs`;
  return `${threeFigures(seconds * 1e9)} ns`;
}

export function formatShare(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** The size of a message, a whole number of the largest unit that allows it. */
export function formatSize(bytes: number): string {
  if (bytes > 0 && bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20} MiB`;
  if (bytes > 0 && bytes % 2 ** 10 === 0) return `${bytes / 2 ** 10} KiB`;
  return `${bytes} B`;
}

/** As part of a name on the command line: `4 KiB` is `4-kib`. */
export function slug(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

function formatBytes(bytes: number): string {
  const size = Math.abs(bytes);
  if (size >= 2 ** 20) return `${threeFigures(bytes / 2 ** 20)} MiB`;
  return `${threeFigures(bytes / 2 ** 10)} KiB`;
}

function threeFigures(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
