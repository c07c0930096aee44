/**
 * Path of a file of this package, from which packages on disk are resolved. The build writes `import.meta.filename` for it
 * into the ES modules (`scripts/build.mjs`); undefined in some bundles.
 */
export const ownFile: string | undefined = typeof __filename === 'string' ? __filename : undefined;
