const { run } = require('./application.cjs');

const [client, options] = process.argv.slice(2);
void run(async (name) => require(name), client, JSON.parse(options));
