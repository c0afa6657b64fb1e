// A reporter of node:test that writes failures alone, for who has to read them below the output of other runs.
import { inspect } from 'node:util';

export default async function* failures(source) {
  for await (const { type, data } of source) {
    if (type === 'test:stderr' && data.message.startsWith('watchdog: ')) yield data.message;
    if (type !== 'test:fail' || data.todo !== undefined || data.details.error?.failureType === 'subtestsFailed')
      continue;
    const { cause = data.details.error } = data.details.error ?? {};
    yield `✖ ${data.name}\n  ${data.file ?? ''}:${data.line ?? ''}\n${inspect(cause, { depth: 3 }).replace(/^/gm, '  ')}\n`;
  }
}
