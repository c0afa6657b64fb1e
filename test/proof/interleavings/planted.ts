/** Production code with a fault in it, to see that an exploration finds it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Fault {
  /** What stands in the compiled code, exactly once. */
  readonly instead: string;
  readonly of: string;
}
/**
 * The module with a fault, as an address to import.
 *
 * @param module as `#src/sync/mutex.js`
 * @param changes what the fault consists of
 */
export function plant(module: string, ...changes: readonly Fault[]): string {
  const url = import.meta.resolve(module);
  let source = readFileSync(fileURLToPath(url), 'utf8');
  for (const { of, instead } of changes) {
    assert.equal(source.split(of).length, 2, `${module} has not once: ${of}`);
    source = source.replace(of, () => instead);
  }
  return address(source, url);
}
/** The module as it is, but with others in the place of some that it imports. */
export function graft(module: string, planted: Readonly<Record<string, string>>): string {
  const url = import.meta.resolve(module);
  return address(readFileSync(fileURLToPath(url), 'utf8'), url, planted);
}
function address(source: string, url: string, planted: Readonly<Record<string, string>> = {}): string {
  const absolute = source.replace(/(from )'(\.[^']+)'/g, (_, from: string, name: string) => {
    return `${from}'${planted[name] ?? new URL(name, url).href}'`;
  });
  const mapless = absolute.replace(/^\/\/# sourceMappingURL=.*$/m, ''); // it would be looked for beside the address
  return `data:text/javascript,${encodeURIComponent(mapless).replaceAll("'", '%27')}`;
}
