// Bundles like `nest build --webpack`, all packages included.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(import.meta.url);
const webpack = createRequire(require.resolve('@nestjs/cli/package.json'))('webpack');

/** @returns the file, which runs without any other file */
export function bundle(entry, folder) {
  // Optional packages of Nest.
  const externals = ({ request }, done) => {
    const name = /^(?:@[^/]+\/)?[^./@][^/]*/.exec(request)?.[0];
    if (!name || existsSync(join(folder, 'node_modules', name))) done();
    else done(null, `commonjs ${request}`);
  };
  const path = join(folder, 'bundled');
  const options = {
    mode: 'production',
    target: 'node',
    // Mangling of names takes long, and does not matter here.
    optimization: { minimize: false },
    entry,
    externals,
    resolve: { modules: [join(folder, 'node_modules')] },
    output: { path, filename: 'main.cjs' },
  };
  return new Promise((resolve, reject) => {
    webpack(options, (error, stats) => {
      if (error ?? stats.hasErrors())
        reject(error ?? new Error(stats.toString({ all: false, errors: true })));
      else resolve(join(path, 'main.cjs'));
    });
  });
}
