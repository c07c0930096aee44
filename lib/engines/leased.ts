import type { Engine } from '../leases/engine.js';

/** Any other engine: its answers live as long as their lease, and for ever without one. */
export const leased: Engine = {
  name: 'leased',
  owns: () => true,
  life: () => ({}),
  comparable: (data) => data,
};
