import type { SimulatedVault } from 'nestjs-vault/testing';
import type { OpenBaoServer, Provisioned } from '../../test/support/servers.mjs';

/** What the file of a backend exports. `Server` is what its `start` gives. */
export interface Backend<Server extends { stop: () => Promise<void> } = any> {
  /** As people call it. */
  title: string;
  /** The variable that names a server of the user's own. */
  variable: string;
  /** How to see on a server of one's own who is left. */
  look: string;
  available: () => { ok: true } | { ok: false; reason: string };
  start: () => Promise<Server>;
  /** A Vault that is no OpenBao; only where that cannot be had, unless `onlySimulated` tells why there is none. */
  simulate?: (server: Server) => Promise<VaultServer>;
  onlySimulated?: string;
  /** What an administrator does once, with the files of the sample. */
  setUp: (
    vault: VaultServer,
    server: Server,
    how: {
      /** Reads a file of the sample. */
      file: (name: string) => string;
      lease: { defaultTtl: string; maxTtl: string };
      approle: Record<string, unknown>;
    },
  ) => Promise<Pick<Provisioned, 'roleId' | 'secretId'>>;
  /** Where the server is, for people. */
  where: (server: Server) => string;
  /** The same as variables for the sample. */
  env: (server: Server) => Record<string, string>;
  /** The leased users that are there at this moment. */
  users: (server: Server) => Promise<string[]>;
}

export interface VaultServer extends Pick<OpenBaoServer, 'address' | 'rootToken' | 'api' | 'stop'> {
  /** Of a simulated one alone. */
  leasedSecret?: SimulatedVault['leasedSecret'];
  leases?: () => string[];
}

/** Of all samples. */
export const NAMES: readonly string[];
export function backendOf(sample: string): Promise<Backend>;
