/** A test that waits for what never comes is named and ended with its file; no test is judged by its time. */
import { beforeEach, type TestContext } from 'node:test';

const TIMEOUT_MS = 600_000;

beforeEach((context) => {
  const { name, signal } = context as TestContext;
  const bark = () => {
    console.error(`watchdog: "${name}" has been running for ${TIMEOUT_MS / 1000} s and is ended, and its file with it`);
    process.exit(1);
  };
  const timer = setTimeout(bark, TIMEOUT_MS).unref();
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true }); // also of a test that skips itself
});
