/** Puts lines of cells on top of each other, so that a table draws no rule between them; a cell of two lines makes its whole line two high. */
export function stack(lines: readonly string[][]): string[] {
  return (lines[0] ?? []).map((_, column) =>
    lines
      .map((line) => {
        const height = Math.max(...line.map(linesIn));
        const cell = line[column];
        return cell + '\n'.repeat(height - linesIn(cell));
      })
      .join('\n'),
  );
}

function linesIn(text: string): number {
  return text.split('\n').length;
}
