import { CredentialsService } from './credentials.service.js';
import { KvService } from './kv.service.js';

/** The services that exist once in an application, for any number of connections. */
export const SERVICES = [CredentialsService, KvService];
