/**
 * Path of this file, from which drivers are resolved. CommonJS in both builds, as ES modules have no `__filename`;
 * undefined in a bundle of ES modules. Without types, as Vitest does not compile this file.
 */
export const here = typeof __filename === 'string' ? __filename : undefined;
