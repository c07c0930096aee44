import { Refusal } from '../server/refusal.js';
import type { DirectoryKind } from './directory-auth.js';

const wrong = () => new Refusal(400, 'access denied by the authentication server');

/** Users of a RADIUS server. */
export const RADIUS: DirectoryKind = {
  type: 'radius',
  notConfigured: () => new Refusal(400, 'radius backend not configured'),
  noPassword: () => new Refusal(400, 'password cannot be empty'),
  wrong,
  wrongAtRenewal: wrong,
  down: (status) => new Refusal(status, 'read udp 127.0.0.1:40000->127.0.0.1:1812: read: connection refused'),
  downAtLogin: 400,
  locksOut: false,
  policiesOfOthers: 'unregistered_user_policies',
  policiesInMetadata: true,
};
