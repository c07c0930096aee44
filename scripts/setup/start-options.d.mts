export class UsageError extends Error {}
export interface StartOptions {
  sample: string;
  help: boolean;
  json: boolean;
  for: number | undefined;
  ttl: number;
  port: number | undefined;
}
export function startOptions(args: string[], samples: readonly string[]): StartOptions;
