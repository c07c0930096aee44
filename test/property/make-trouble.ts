import type { SimulatedVault } from '../../lib/testing/index.js';
import { MATCHES, type Trouble, type Which } from './schedule.js';
import { LIE } from './witness.js';

/** Starts a fault; returns a function that ends it. */
export function makeTrouble(vault: SimulatedVault, trouble: Trouble, which: Which): () => void {
  const match = MATCHES[which];
  switch (trouble.kind) {
    case 'cut':
      return vault.cut({ match });
    case 'drop':
      return vault.dropResponse({ match });
    case 'delay':
      return vault.delay(trouble.milliseconds, { match }, { before: trouble.before });
    case 'answer': {
      const { status, body } = trouble;
      const headers: Record<string, string> = { 'content-type': 'application/json', [LIE]: 'yes' };
      // Some proxies answer `Retry-After: 0`; the client must not retry without a pause.
      if (status === 429 || status === 503) headers['retry-after'] = '0';
      return vault.answer(status, body, { match }, headers);
    }
    case 'seal':
      vault.seal();
      return () => vault.unseal();
    case 'standby':
      vault.standby();
      return () => vault.standby(false);
    case 'database':
      vault.databaseDown();
      return () => vault.databaseDown(false);
  }
}
