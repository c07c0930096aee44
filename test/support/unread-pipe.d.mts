export interface UnreadPipe {
  readonly end: number;
  fill(): void;
  read(): void;
  close(): string;
}
export function unreadPipe(folder: string): UnreadPipe;
