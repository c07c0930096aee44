/**
 * This file, from where the drivers are looked for. CommonJS in both builds, as ES modules have another name for it;
 * undefined in a bundle of ES modules. Without types, as Vitest takes it as it stands.
 */
export const here = typeof __filename === 'string' ? __filename : undefined;
