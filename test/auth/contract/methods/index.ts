import type { MethodUnderTest } from '../method.js';
import { appRoleUnderTest } from './app-role.js';

/** Every auth method. */
export const METHODS: readonly MethodUnderTest[] = [appRoleUnderTest];
