import type { SimulatedVault } from 'nestjs-vault/testing';
import type { OpenBaoServer, Provisioned } from '../../test/support/servers.mjs';

/** The exports of a backend's file. `Server` is the result of its `start`. */
export interface Backend<Server extends { stop: () => Promise<void> } = any> {
  /** The name of the product. */
  title: string;
  /** The variable with the address of the user's own server. */
  variable: string;
  /** A command that lists the remaining users on the user's own server. */
  look: string;
  available: () => { ok: true } | { ok: false; reason: string };
  start: () => Promise<Server>;
  /** Starts a simulated Vault; used if OpenBao is not available, or always if `onlySimulated` gives a reason. */
  simulate?: (server: Server) => Promise<VaultServer>;
  onlySimulated?: string;
  /** The administrator's set-up, with the files of the sample. */
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
  /** The printed address of the server. */
  where: (server: Server) => string;
  /** The address as variables for the sample. */
  env: (server: Server) => Record<string, string>;
  /** The current leased users. */
  users: (server: Server) => Promise<string[]>;
}

export interface VaultServer extends Pick<OpenBaoServer, 'address' | 'rootToken' | 'api' | 'stop'> {
  /** Only on a simulated server. */
  leasedSecret?: SimulatedVault['leasedSecret'];
  leases?: () => string[];
}

/** The names of all samples. */
export const NAMES: readonly string[];
export function backendOf(sample: string): Promise<Backend>;
