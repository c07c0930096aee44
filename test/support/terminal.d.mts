export const KEYS: Readonly<Record<'Ctrl+C' | 'Ctrl+\\', string>>;
export const onTerminal: readonly [string, ...string[]] | undefined;
