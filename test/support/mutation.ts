import type { Vite } from 'vitest/node';

/**
 * Breaks one place of a source file while it is loaded, as `npm run test:mutations` asks for. The file itself stays as
 * it is, so that several runs can go on at the same time.
 */
export function mutation(): Vite.Plugin[] {
  const asked = process.env['MUTATION'];
  if (!asked) return [];
  const { file, find, to } = JSON.parse(asked) as { file: string; find: string; to: string };
  return [
    {
      name: 'mutation',
      enforce: 'pre',
      transform: (code, id) =>
        id.split('?')[0]?.endsWith(`/${file}`) ? code.replace(find, () => to) : undefined,
    },
  ];
}
