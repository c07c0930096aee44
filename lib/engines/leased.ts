import type { EngineRules } from './engine.js';

/** All other engines: an answer is valid as long as its lease, and without end if it has none. */
export const leased: EngineRules = {
  name: 'leased',
  owns: () => true,
  life: () => ({}),
  comparable: (data) => data,
};
