// @ts-check
import { native } from '../../dist/system/native.js';

const { nothing } = native; // a property of the addon object is slow to load

/** @type {import('../harness/row.js').Row} */
export default {
  name: 'native-call',
  group: 'native call',
  about: 'a call into the addon that does nothing',
  kinds: ['call'],
  batch: 1000,
  targets: [{ metric: 'p50', atMost: 30 }],
  calls: () => (count) => {
    for (let i = 0; i < count; i++) nothing();
  },
};
