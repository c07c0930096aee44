import type { TRANSITIONS } from '../lib/lifetime/transitions.js';

export function withDiagram(page: string, transitions: typeof TRANSITIONS, source: string): string;
