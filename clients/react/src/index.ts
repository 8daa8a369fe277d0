export {
  type GetToken,
  syncUser,
  type SyncUserOptions,
  type UserRow,
  UserSyncError,
} from "./sync-user.js";
export { useUserSync, type UseUserSyncOptions } from "./use-user-sync.js";
