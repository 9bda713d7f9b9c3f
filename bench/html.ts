/** Text as it may stand in HTML. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  };
  return text.replace(/[&<>"]/g, (character) => entities[character]);
}

const cells = (tag: string, row: readonly string[]): string =>
  row.map((text) => `<${tag}>${escapeHtml(text).replaceAll('\n', '<br>')}</${tag}>`).join('');

const wrapped = (head: string, body: readonly string[]): string =>
  `<div class="scroll"><table><thead><tr>${head}</tr></thead>\n${body.join('\n')}</table></div>`;

export function htmlTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return wrapped(
    cells('th', head),
    rows.map((row) => `<tr>${cells('td', row)}</tr>`),
  );
}

/** A table whose first column is said once, above the rows that have the same there. */
export function htmlGroupedTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const [, ...columns] = head;
  let group: string | undefined;
  const body = rows.map(([name, ...row]) => {
    const heading = `<tr class="group"><th colspan="${columns.length}">${escapeHtml(name)}</th></tr>`;
    const line = `<tr>${cells('td', row)}</tr>`;
    const text = name === group ? line : `${heading}\n${line}`;
    group = name;
    return text;
  });
  return wrapped(cells('th', columns), body);
}
