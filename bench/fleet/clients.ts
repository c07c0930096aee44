import type { Client } from './instance.js';
import { lifetimeWatcher, lifetimeWatcherOpenBao } from './policies/lifetime-watcher.js';
import { nodeVault } from './policies/node-vault.js';
import { ours } from './policies/ours.js';
import { springVault } from './policies/spring-vault.js';

export const CLIENTS: readonly Client[] = [
  ours,
  lifetimeWatcher,
  lifetimeWatcherOpenBao,
  springVault,
  nodeVault,
];
