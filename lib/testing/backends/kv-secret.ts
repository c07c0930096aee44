import { createHash } from 'node:crypto';
import type { Call } from '../server/model.js';
import type { ServerContext } from '../server/server-context.js';
import { goDuration } from '../server/duration.js';

/** Parts of the server that a secret uses. */
export type KvServer = Pick<ServerContext, 'time' | 'vault'>;
export type KvData = Record<string, unknown>;

/** Settings of a secret, or of all secrets of a mount. */
export interface KvSettings {
  casRequired: boolean;
  maxVersions: number;
  /** Seconds; 0 without. A negative one of the mount means never. */
  deleteVersionAfter: number;
  metadataCasRequired: boolean;
}

export const noSettings = (): KvSettings => ({
  casRequired: false,
  maxVersions: 0,
  deleteVersionAfter: 0,
  metadataCasRequired: false,
});

/** The client of a change; shown by HashiCorp Vault only. */
interface Author {
  actor: string;
  entity_id?: string;
  client_id: string;
  operation: string;
}

interface Version {
  /** Milliseconds of the server. */
  created: number;
  /** 0 if it is not deleted and will not be. May be in the future. */
  deleted: number;
  destroyed: boolean;
  data: KvData | null;
  createdBy: Author | null;
  deletedBy: Author | null;
}

const DEFAULT_MAX_VERSIONS = 10;

/** One secret of the KV secrets engine, version 2: its versions and its metadata. */
export class KvSecret {
  readonly settings = noSettings();
  customMetadata: Record<string, string> = {};
  /** Number of the latest version; 0 before the first. */
  current = 0;
  /** Number of writes of the metadata; shown by OpenBao only. */
  metadataVersion = 0;
  readonly #server: KvServer;
  readonly #mount: KvSettings;
  readonly #versions = new Map<number, Version>();
  readonly #created: number;
  #updated: number;
  #oldest = 0;
  #changedBy: Author | null = null;

  constructor(server: KvServer, mount: KvSettings) {
    this.#server = server;
    this.#mount = mount;
    this.#created = this.#updated = server.time.now;
  }

  /** @param number 0 or less for the latest */
  find(number = 0): { number: number; data: KvData | null; gone: boolean } | undefined {
    const found = number > 0 ? number : this.current;
    const version = this.#versions.get(found);
    return version && { number: found, data: version.data, gone: this.#isGone(version) };
  }

  add(data: KvData | null, call: Call): void {
    this.#changedBy = author(call, this.current === 0 ? 'create' : call.operation);
    this.#updated = this.#server.time.now;
    this.#versions.set(++this.current, {
      created: this.#updated,
      deleted: this.#end(),
      destroyed: false,
      data,
      createdBy: this.#changedBy,
      deletedBy: null,
    });
    const kept = Math.max(this.settings.maxVersions, this.#mount.maxVersions) || DEFAULT_MAX_VERSIONS;
    if (this.current - this.#oldest < kept) return;
    const newest = this.current - kept;
    for (let number = this.#oldest; number <= newest; number++) this.#versions.delete(number);
    this.#oldest = newest + 1;
  }

  delete(numbers: readonly number[], call: Call): void {
    const by = author(call, call.operation);
    for (const version of this.#existing(numbers))
      if (!this.#isGone(version)) [version.deleted, version.deletedBy] = [this.#server.time.now, by];
    this.#changedBy = by;
  }

  /** A version with a limited life gets a new one. */
  undelete(numbers: readonly number[], call: Call): void {
    for (const version of this.#existing(numbers))
      if (!version.destroyed) [version.deleted, version.deletedBy] = [this.#end(), null];
    this.#changedBy = author(call, 'undelete');
  }

  destroy(numbers: readonly number[]): void {
    for (const version of this.#existing(numbers)) [version.destroyed, version.data] = [true, null];
  }

  /** The metadata of one version, as reads and writes of data answer it. */
  describeVersion(number: number): object {
    const { created, deleted, destroyed } = this.#versions.get(number) as Version;
    return {
      created_time: this.#server.time.date(created),
      custom_metadata: this.#customMetadata(),
      deletion_time: this.#date(deleted),
      destroyed,
      version: number,
    };
  }

  describe(): object {
    const { vault, time } = this.#server;
    const { casRequired, maxVersions, deleteVersionAfter, metadataCasRequired } = this.settings;
    return {
      cas_required: casRequired,
      created_time: time.date(this.#created),
      current_version: this.current,
      custom_metadata: this.#customMetadata(),
      delete_version_after: goDuration(deleteVersionAfter),
      max_versions: maxVersions,
      oldest_version: this.#oldest,
      updated_time: time.date(this.#updated),
      ...(vault
        ? { last_updated_by: this.#changedBy }
        : { current_metadata_version: this.metadataVersion, metadata_cas_required: metadataCasRequired }),
      versions: Object.fromEntries(
        [...this.#versions].map(([number, { created, deleted, destroyed, createdBy, deletedBy }]) => [
          number,
          {
            created_time: time.date(created),
            deletion_time: this.#date(deleted),
            destroyed,
            ...(vault && { created_by: createdBy, deleted_by: deletedBy }),
          },
        ]),
      ),
    };
  }

  #existing(numbers: readonly number[]): Version[] {
    return numbers.map((number) => this.#versions.get(number)).filter((version) => version !== undefined);
  }

  #isGone({ deleted, destroyed }: Version): boolean {
    return destroyed || (deleted > 0 && deleted <= this.#server.time.now);
  }

  /** The end of a version whose life begins now: the shorter one of those that the secret and the mount set. */
  #end(): number {
    const [own, mount] = [this.settings.deleteVersionAfter, this.#mount.deleteVersionAfter];
    if (mount < 0) return 0;
    const after = own > 0 && mount > 0 ? Math.min(own, mount) : own || mount;
    return after > 0 ? this.#server.time.now + after * 1000 : 0;
  }

  #customMetadata(): object | null {
    return Object.keys(this.customMetadata).length > 0 ? this.customMetadata : null;
  }

  #date(time: number): string {
    return time > 0 ? this.#server.time.date(time) : '';
  }
}

function author({ token }: Call, operation: string): Author {
  const { entityId, init, id } = token ?? { entityId: '', id: '' };
  return {
    actor: init?.displayName ?? 'token',
    ...(entityId && { entity_id: entityId }),
    client_id: entityId || createHash('sha256').update(id).digest('base64'),
    operation,
  };
}
