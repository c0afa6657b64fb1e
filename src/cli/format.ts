/** Numbers in readable form. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
/** `1.50 GiB` */
export function formatBytes(bytes: number): string {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? bytes : bytes.toFixed(2)} ${UNITS[unit]}`;
}
/** `4096`, `64K`, `1M`, `2G`: bytes, in powers of 1024; undefined if it is none of these. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+)([KMG]?)i?B?$/i.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * 1024 ** ' KMG'.indexOf((match[2] || ' ').toUpperCase());
}
/** Padded columns: the first aligned left, the others right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}
