export const title = 'MongoDB';
export const variable = 'MONGODB_URL';
export const look = 'db.getSiblingDB("admin").getUsers()';
export const available = () => ({
  ok: false,
  reason: 'no package of MongoDB is available here, and OpenBao has no plugin for it.',
});
