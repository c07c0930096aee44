// Uses all of a core, until it is killed or its parent has ended.
process.once('disconnect', () => process.exit());
setInterval(() => {
  const end = performance.now() + 100;
  while (performance.now() < end);
});
