// @ts-check
/** A lock taken and given back, with nobody else there. */
import { SharedMemory } from 'vecino/memory';
import { Mutex, RwLock, Semaphore } from 'vecino/sync';

/** @typedef {import('../harness/row.js').Row} Row */
const mutexes = 'mutex, uncontended';
const semaphores = 'semaphore, uncontended';
/** @satisfies {Partial<Row>} */
const common = { kinds: /** @type {Row['kinds']} */ (['call']), batch: 1000 };
const makeMutex = () => Mutex.create(SharedMemory.anonymous(4096));

/** @type {Row[]} */
export default [
  {
    ...common,
    name: 'mutex-sync',
    group: mutexes,
    about: 'lockSync and release of a Mutex: a guard each time',
    targets: [{ against: 'c-mutex', atMost: 3 }, { atMost: 150 }],
    calls() {
      const mutex = makeMutex();
      return (count) => {
        for (let i = 0; i < count; i++) mutex.lockSync().release();
      };
    },
  },
  {
    ...common,
    name: 'mutex-try',
    group: mutexes,
    about: 'tryLock and release of a Mutex',
    targets: [{ against: 'c-mutex', atMost: 3 }, { atMost: 150 }],
    calls() {
      const mutex = makeMutex();
      return (count) => {
        for (let i = 0; i < count; i++) {
          const guard = mutex.tryLock();
          if (guard === null) throw new Error('the mutex is taken');
          guard.release();
        }
      };
    },
  },
  {
    ...common,
    name: 'mutex-enter-exit',
    group: mutexes,
    about: 'enterSync and exit of a Mutex: the same without a guard, and without any allocation',
    targets: [{ against: 'c-mutex', atMost: 3 }, { atMost: 150 }],
    calls() {
      const mutex = makeMutex();
      return (count) => {
        for (let i = 0; i < count; i++) {
          mutex.enterSync();
          mutex.exit();
        }
      };
    },
  },
  {
    ...common,
    name: 'mutex-async',
    group: mutexes,
    about: 'await lock and release of a Mutex',
    against: 'c-mutex',
    calls() {
      const mutex = makeMutex();
      return async (count) => {
        for (let i = 0; i < count; i++) (await mutex.lock()).release();
      };
    },
  },
  {
    ...common,
    name: 'c-mutex',
    group: mutexes,
    about: 'pthread_mutex_lock and unlock: shared, robust, error-checking',
    c: { source: 'lock.c', options: ['mutex'] },
  },
  ...['read', 'write'].map(
    (voice) =>
      /** @type {Row} */ ({
        ...common,
        name: `rw-lock-${voice}`,
        group: mutexes,
        about: `${voice}Sync and release of an RwLock`,
        against: 'c-mutex',
        calls() {
          const lock = RwLock.create(SharedMemory.anonymous(8192));
          return (count) => {
            if (voice === 'read') for (let i = 0; i < count; i++) lock.readSync().release();
            else for (let i = 0; i < count; i++) lock.writeSync().release();
          };
        },
      }),
  ),
  {
    ...common,
    name: 'semaphore-try',
    group: semaphores,
    about: 'tryAcquire and release of a Semaphore',
    targets: [{ against: 'c-semaphore', atMost: 3 }, { atMost: 150 }],
    calls() {
      const semaphore = Semaphore.inMemory(SharedMemory.anonymous(4096), 0, 1);
      return (count) => {
        for (let i = 0; i < count; i++) {
          if (!semaphore.tryAcquire()) throw new Error('there is no permit');
          semaphore.release();
        }
      };
    },
  },
  {
    ...common,
    name: 'c-semaphore',
    group: semaphores,
    about: 'sem_trywait and sem_post of a shared semaphore',
    c: { source: 'lock.c', options: ['semaphore'] },
  },
];
