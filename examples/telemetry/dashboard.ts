// Shows the samples of all sensors on a web page of this machine: node dist/dashboard.js
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { open } from './sample.js';

const PAGE = `<!doctype html><meta charset="utf-8"><title>Telemetry</title><link rel="icon" href="data:,">
<style>body{font:16px system-ui;margin:2em}td,th{padding:.3em 1em;text-align:right}.silent{color:#999;text-decoration:line-through}</style>
<h1>Telemetry</h1><table><thead><tr><th>sensor<th>pid<th>memory, MB<th>CPU, µs</thead><tbody></tbody></table><p>lost: <b>0</b>
<script>
const rows = new Map();
new EventSource('/events').onmessage = ({ data }) => {
  const { sample, lost } = JSON.parse(data);
  if (!rows.has(sample.pid)) rows.set(sample.pid, { row: document.querySelector('tbody').insertRow() });
  const known = rows.get(sample.pid);
  known.at = Date.now();
  known.row.replaceChildren();
  for (const text of [sample.name, sample.pid, (sample.memory / 1e6).toFixed(1), sample.load]) known.row.insertCell().textContent = text;
  document.querySelector('b').textContent = lost;
};
setInterval(() => {
  for (const { row, at } of rows.values()) row.className = Date.now() - at > 1000 ? 'silent' : '';
}, 200);
</script>`;

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

const pages = new Set<ServerResponse>();
const server = createServer((request, response) => {
  if (request.url === '/') return response.setHeader('content-type', 'text/html').end(PAGE);
  if (request.url !== '/events') return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  pages.add(response);
  response.once('close', () => pages.delete(response));
});
server.listen(Number(process.env['PORT'] ?? 8081), '127.0.0.1', () => {
  console.log(`dashboard on http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});

await using topic = await open();
await using samples = topic.subscribe({ from: 'oldest' }); // also what was published before we came
try {
  for (;;) {
    const sample = await samples.receive({ signal: stop.signal });
    const event = `data: ${JSON.stringify({ sample, lost: samples.lost })}\n\n`;
    // A page that does not read is skipped; its next sample is newer anyway.
    for (const page of pages) if (!page.writableNeedDrain) page.write(event);
  }
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
server.close();
server.closeAllConnections();
console.log('dashboard stopped');
