/** A test that waits for what never comes is named and ended with its file; no test is judged by its time. */
import { afterEach, beforeEach } from 'node:test';

const PATIENCE = 600_000;
const running = new Map<string, NodeJS.Timeout>();

beforeEach((context) => {
  const { name } = context;
  const bark = () => {
    console.error(`watchdog: "${name}" has been running for ${PATIENCE / 1000} s and is ended, and its file with it`);
    process.exit(1);
  };
  clearTimeout(running.get(name));
  running.set(name, setTimeout(bark, PATIENCE).unref());
});
afterEach((context) => {
  clearTimeout(running.get(context.name));
  running.delete(context.name);
});
