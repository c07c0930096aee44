export const title = 'MongoDB';
export const variable = 'MONGODB_URL';
export const look = 'db.getSiblingDB("admin").getUsers()';
export const available = () => ({
  ok: false,
  reason: 'there is no package of it here, and OpenBao has no plugin for it.',
});
