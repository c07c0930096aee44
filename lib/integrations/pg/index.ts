export { createRotatingPool } from './rotating-pool.js';
