import type { OpenBaoServer, PostgresServer } from './servers.mjs';
import type { Block } from './pages.mjs';

export function shell(block: Pick<Block, 'text'>, folder: string, env: NodeJS.ProcessEnv): Promise<string>;
export function terminal(bao: OpenBaoServer, folder: string): Promise<NodeJS.ProcessEnv>;
export function followSetUp(
  bao: OpenBaoServer,
  postgres: PostgresServer,
  folder: string,
): Promise<{
  variables: { VAULT_ADDR: string; VAULT_ROLE_ID: string; VAULT_SECRET_ID_FILE: string };
  names: string[];
  printed: string;
  deliver: () => Promise<string>;
  run: (block: Pick<Block, 'text'>, token?: string, more?: NodeJS.ProcessEnv) => Promise<string>;
}>;
