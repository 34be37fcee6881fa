/**
 * The types of api.js.
 *
 * Made of the API description by `make docs`: to change them, change the API.
 */

export interface Options {
  /** Ends the request. */
  signal?: AbortSignal;
  /** Sends it even if the page is left. */
  keepalive?: boolean;
  /** How often it is tried, 4 times if left out. */
  most?: number;
}

export class ApiError extends Error {
  constructor(error: {
    code: string;
    message: string;
    details?: Record<string, unknown>;
    status?: number;
    retryAfter?: number;
    requestId?: string;
  });
  /** One of docs/errors.md; `unreachable` and `no_json` where no answer of the service came. */
  code: string;
  details: Record<string, unknown>;
  status: number;
  /** Seconds. */
  retryAfter: number;
  requestId: string;
}

/** The request of a `request` event as a curl command. */
export function curlOf(detail: Record<string, unknown>, origin: string): string;
export function uuid(): string;

export interface AlwaysAsync {
  async?: boolean;
  /** Gets the webhook batchJobEnded. */
  callback_url?: string;
}

export interface AnyItem {
  image_id: string;
  status: ItemStatus;
  error?: ItemError;
  /** `data` of identify or of register. With `group_unknown`, faces of nobody have an `unknown_id` when the job is completed. */
  result?: Record<string, unknown>;
}

export interface AtOnce {
  status: JobStatus;
  total: number;
  succeeded: number;
  failed: number;
  /** Pictures that were not done before the end; 0 until then. */
  skipped: number;
  results: Array<IdentifiedItem>;
}

export interface Attempt {
  at: string;
  verification_result: VerificationResultEnum;
  risk_assessment: Risk;
}

export interface Attributes {
  estimated_age: number | null;
  estimated_gender: string | null;
  /** `left_eye`, `right_eye`, `nose_tip`, `mouth_left` and `mouth_right` with every pack, as [x, y]; null where a pack cannot tell. A pack may have others beside them. */
  face_landmarks: Record<string, unknown>;
}

export interface AuditEvent {
  event_id: number;
  at: string;
  /** `user:<id>`, `service:<name>`, `command:<name>`, `operator:<name>` of the admin pages, or `system`. */
  actor: string;
  action: string;
  /** The log stores keys of ids. Once the person is erased, the key is shown. */
  user_id: string | null;
  /** The user who stayed after a merge, or got a moved face. */
  other_user_id: string | null;
  face_id: string | null;
  /** The user that the actor acted for. */
  viewer_id: string | null;
  request_id: string | null;
  details: Record<string, unknown>;
}

export interface AuditEventList {
  events: Array<AuditEvent>;
  next_cursor: string | null;
}

export interface BatchFace {
  image_id?: string;
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image: Blob;
  user_id: string;
  face_group?: string;
  face_index?: number;
  metadata?: Record<string, unknown>;
}

export interface BatchJobEnded {
  type: "batch.completed" | "batch.cancelled" | "batch.timed_out";
  /** When the job ended. */
  timestamp: string;
  data: Record<string, unknown>;
}

export interface BatchPicture {
  image_id?: string;
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image: Blob;
}

export interface BestPair {
  /** Its place in `faces_a`, from 0. */
  face_index_a: number;
  /** Its place in `faces_b`, from 0. */
  face_index_b: number;
  is_match: boolean;
  similarity_score: number;
  confidence_score: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Calibration {
  data_set: string;
  measured_on: string;
  operating_points: Array<OperatingPoint>;
  /** Null if the scores were measured with this pack. */
  provisional: Provisional | null;
}

export interface Candidate {
  user_id: string;
  face_id: string;
  similarity_score: number;
  confidence_score: number;
  user_info: UserInfo;
}

export interface Collection {
  name: string;
  state: CollectionState;
  /** The service that made it, or empty. */
  made_by: string;
  created_at: string;
  /** Settings that have another value in this collection. */
  rules: Record<string, unknown>;
  users: number;
  faces: number;
}

export interface CollectionErased {
  name: string;
  erased: boolean;
  /** How many users it had. */
  users: number;
  /** How many faces it had. */
  faces: number;
}

export interface CollectionList {
  collections: Array<Collection>;
  next_cursor: string | null;
}

export type CollectionState = "active" | "suspended";

export interface Compared {
  /** Of the main faces, `face_a` and `face_b`, as are both scores. False, with scores of 0, if one of them is misread. `best_pair` says it of all faces. */
  is_match: boolean;
  similarity_score: number;
  confidence_score: number;
  verification_level: VerificationLevelEnum;
  face_a: ComparedFace;
  face_b: ComparedFace;
  /** In the order in which detect lists them, the main one first. Misread faces are not compared. */
  faces_a: Array<ComparedFace>;
  /** In the order in which detect lists them, the main one first. Misread faces are not compared. */
  faces_b: Array<ComparedFace>;
  /** The two faces, one of each picture, that are most alike. Among more pairs they have to be more alike for the same scores: strangers have more chances to match. */
  best_pair: BestPair;
}

export interface ComparedFace {
  box: Box;
  /** Degrees clockwise by which the picture was turned before this face was found; all coordinates are of the turned picture. */
  rotation: RotationEnum;
  quality: Quality;
}

export type CutEnum = "min_confidence" | "max_false_positive_rate";

export type DecisionEnum = "same_person" | "different_people";

export interface Deleted {
  face_id: string;
  deleted: boolean;
}

export interface Detected {
  faces: Array<DetectedFace>;
  total_faces: number;
  /** How many faces the picture has. More than there are in `faces`: only the largest count, up to `FACESVC_MAX_FACES_PER_IMAGE`, or only the main one was asked for. */
  faces_found: number;
  /** Pixels: nearly all faces whose box is at least so wide are found in this picture. `FACESVC_SMALLEST_FACE` says how far the service goes in large pictures. */
  smallest_face: number;
}

export interface DetectedFace {
  box: Box;
  /** Degrees clockwise by which the picture was turned before this face was found; all coordinates are of the turned picture. */
  rotation: RotationEnum;
  quality: Quality;
  /** How sure the detector is; detectors of different packs do not compare. */
  detection_score: number;
  pose: Pose;
  face_attributes: Attributes;
  /** From 0 (spoof) to 1 (real); null when the pack has no anti-spoofing. */
  liveness_score: number | null;
  /** From 0 (closed) to 1 (open), of the more open eye; null when the pack has no network for it. It changes no decision. */
  eyes_open_score: number | null;
}

export interface Duplicate {
  duplicate_id: number;
  faces: Array<DuplicateFace>;
  confidence_score: number;
  state: DuplicateState;
  found_at: string;
  /** Written as `actor` of the audit log. */
  decided_by: string | null;
  decided_at: string | null;
}

export interface DuplicateFace {
  /** After `same_person`, both are the user who stayed. */
  user_id: string;
  /** Null when the face is gone. */
  face_id: string | null;
}

export interface DuplicateList {
  duplicates: Array<Duplicate>;
  next_cursor: string | null;
}

export type DuplicateState = "open" | "same_person" | "different_people";

export interface Erased {
  /** Also in the audit log, which keeps the receipt. */
  receipt_id: string;
  user_id: string;
  erased_at: string;
  /** What was removed: how many rows of each kind. */
  removed: Record<string, unknown>;
}

export interface Face {
  face_id: string;
  user_id: string;
  face_group: string;
  face_quality_score: number;
  quality_components: Record<string, unknown>;
  face_attributes: Attributes;
  metadata: Record<string, unknown>;
  privacy_settings: Privacy;
  /** When a moderator suspended it; end users do not see what is suspended. */
  suspended_at: string | null;
  /** The version of the template that is compared now. Null: the face is compared with nobody until it is enrolled again. */
  embedding_version: string | null;
  /** The model that computed that template. */
  model_version: string | null;
  verification_count: number;
  last_verified_at: string | null;
  created_at: string;
  updated_at: string;
}

export interface FaceList {
  faces: Array<Face>;
  next_cursor: string | null;
}

export interface FaceOfPhoto {
  /** The place of the face among those of detect. */
  face_index: number;
  user_id: string;
  face_group?: string;
  /** Stored with this face, as by register: each has its own consent. */
  metadata?: Record<string, unknown>;
}

export type FacesEnum = "all" | "largest";

export interface FrameSeen {
  /** `dropped`: a newer one was counted. */
  status: FrameStatus;
  /** Only once the state is `verified` it says whether this face is the user's. */
  verification_result: VerificationResultEnum | NullEnum;
}

export type FrameStatus = "counted" | "dropped";

export interface FrameTaken {
  session_id: string;
  user_id: string;
  purpose: PurposeEnum;
  verification_level: VerificationLevelEnum;
  state: SessionState;
  created_at: string;
  expires_at: string;
  ended_at: string | null;
  /** When it last became so. */
  verified_at: string | null;
  /** That were looked at. */
  frames: number;
  /** Of the last attempt or frame. */
  risk_assessment: Risk;
  frame: FrameSeen;
}

export interface Friend {
  user_id: string;
  since: string;
}

export interface FriendList {
  friends: Array<Friend>;
  next_cursor: string | null;
}

export interface GraphImported {
  /** Lines read, without empty ones. */
  lines: number;
  users: UsersImported;
  groups: GroupsImported;
  friendships: LinksImported;
  memberships: LinksImported;
}

export interface Group {
  name: string;
  created_at: string;
}

export interface GroupDeleted {
  name: string;
  deleted: boolean;
}

export interface GroupJoined {
  name: string;
  since: string;
}

export interface GroupList {
  groups: Array<Group>;
  next_cursor: string | null;
}

export interface GroupsImported {
  created: number;
  unchanged: number;
}

export interface GroupsJoined {
  groups: Array<GroupJoined>;
  next_cursor: string | null;
}

export type IdentificationResultEnum = "found" | "not_found" | "no_face_detected";

export interface Identified {
  identification_result: IdentificationResultEnum;
  /** The surest first. The scores of a person with several faces are those of one face that a stranger resembles as seldom. */
  candidates: Array<Candidate>;
  total_candidates: number;
  /** The main face first. Of several photos, the main face of each in their order, all with the same candidates. */
  faces: Array<IdentifiedFace>;
  /** How many faces the picture has. More than there are in `faces`: only the largest count, up to `FACESVC_MAX_FACES_PER_IMAGE`, or only the main one was asked for. */
  faces_found: number;
  /** Pixels: nearly all faces whose box is at least so wide are found in this picture. `FACESVC_SMALLEST_FACE` says how far the service goes in large pictures. */
  smallest_face: number;
  search_stats: SearchStats;
}

export interface IdentifiedByFace {
  identification_result: IdentificationResultEnum;
  /** The surest first. The scores of a person with several faces are those of one face that a stranger resembles as seldom. */
  candidates: Array<Candidate>;
  total_candidates: number;
  search_stats: SearchStats;
}

export interface IdentifiedFace {
  box: Box;
  /** Degrees clockwise by which the picture was turned before this face was found; all coordinates are of the turned picture. */
  rotation: RotationEnum;
  quality: Quality;
  identification_result: IdentificationResultEnum;
  /** The surest first. The scores of a person with several faces are those of one face that a stranger resembles as seldom. */
  candidates: Array<Candidate>;
  total_candidates: number;
}

export interface IdentifiedItem {
  image_id: string;
  status: ItemStatus;
  error?: ItemError;
  result?: Identified;
}

export interface IdentifyProcessing {
  async?: boolean;
  /** Gets the webhook batchJobEnded. */
  callback_url?: string;
  /** Put the faces without a candidate together, each person's under an `unknown_id`. Only services may, and only with `async`. */
  group_unknown?: boolean;
}

export interface ItemError {
  code: string;
  message: string;
  details: Record<string, unknown>;
}

export type ItemStatus = "success" | "error" | "skipped";

export interface Job {
  job_id: string;
  job_type: JobTypeEnum;
  status: JobStatus;
  total: number;
  succeeded: number;
  failed: number;
  /** Pictures that were not done before the end; 0 until then. */
  skipped: number;
  callback_url: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  /** How many people have an `unknown_id`; null unless the job is completed and was to find that out. */
  unknown_people: number | null;
}

export interface JobList {
  jobs: Array<Job>;
  next_cursor: string | null;
}

export type JobStatus = "queued" | "processing" | "completed" | "cancelled" | "timed_out";

export type JobTypeEnum = "identify" | "register";

export interface LinksImported {
  created: number;
  removed: number;
  unchanged: number;
}

export type MatchOnEnum = "face" | "user";

export interface Member {
  user_id: string;
  since: string;
}

export interface MemberDeleted {
  user_id: string;
  deleted: boolean;
}

export interface MemberList {
  members: Array<Member>;
  next_cursor: string | null;
}

export interface Model {
  name: string;
  description: string;
  licence: string;
  embedding_version: string;
  model_version: string;
  /** Answers requests. */
  active: boolean;
  /** Why a new database began with this pack. Empty for the other packs, and after a change of the model. */
  reason: string;
  /** Its files are on this machine. */
  prepared: boolean;
  /** Its scores were measured, so their meaning is known. */
  calibrated: boolean;
  calibration: Calibration | null;
  /** For pictures of some sizes: nearly all faces whose box has at least so many pixels on each side are found, by the verbs that look for all faces. */
  smallest_face: Array<SmallestFace>;
}

export interface ModelList {
  models: Array<Model>;
}

export interface NullEnum {
}

export interface OperatingPoint {
  /** Share of strangers that reach these scores. */
  false_match_rate: number;
  /** Too rare to be measured on the calibration's data. */
  extrapolated: boolean;
  similarity_score: number;
  confidence_score: number;
}

export interface Pose {
  /** Degrees; positive turns to the picture's right. */
  yaw: number;
  /** Degrees; positive looks down. Null where the landmarks cannot tell. */
  pitch: number | null;
  /** Degrees; positive tilts clockwise. */
  roll: number;
}

export interface Privacy {
  searchable: boolean;
  taggable: TaggableEnum;
}

export type PrivacyLevelEnum = "public" | "friends" | "private";

export interface PrivacySettings {
  searchable?: boolean;
  taggable?: TaggableEnum;
}

export interface Provisional {
  /** Where the scores come from. */
  based_on: string;
  /** The true false match rate is within these factors of the stated one. */
  factor: Array<number>;
}

export type PurposeEnum = "login" | "video_call" | "other";

export interface Quality {
  face_quality_score: number;
  components: Record<string, unknown>;
  reasons: Array<string>;
}

export interface Registered {
  face_id: string;
  user_id: string;
  /** Who finds the user; `friends` until `PUT /users/{user_id}` changes it. */
  privacy_level: PrivacyLevelEnum;
  registration_status: RegistrationStatusEnum;
  face_quality_score: number;
  embedding_version: string;
  face_attributes: Attributes;
}

export interface RegisteredFace {
  face_id: string;
  user_id: string;
  /** Who finds the user; `friends` until `PUT /users/{user_id}` changes it. */
  privacy_level: PrivacyLevelEnum;
  registration_status: RegistrationStatusEnum;
  face_quality_score: number;
  embedding_version: string;
  face_attributes: Attributes;
  /** Of the request. */
  face_index: number;
}

export interface RegisteredFaces {
  faces: Array<RegisteredFace>;
}

export type RegistrationStatusEnum = "success";

export interface Results {
  status: JobStatus;
  total: number;
  succeeded: number;
  failed: number;
  /** Pictures that were not done before the end; 0 until then. */
  skipped: number;
  results: Array<AnyItem>;
  next_cursor: string | null;
}

export interface Risk {
  risk_level: RiskLevelEnum;
  factors: Array<string>;
  /** Only of what a rule refuses: why, and what can be done. */
  explanation?: string;
}

export type RiskLevelEnum = "low" | "medium" | "high";

export type RotationEnum = 0 | 90 | 180 | 270;

export type ScopeEnum = "all";

export interface Scores {
  similarity_score: number;
  confidence_score: number;
}

export interface SearchScope {
  user_groups?: Array<string>;
  /** `all` searches everyone; needs face:admin. */
  scope?: ScopeEnum;
  /** Only faces that were enrolled with this `face_group`; for services. */
  face_group?: string;
  /** Decide by the best of the scores of a user's faces, or by their mean. */
  match_on?: MatchOnEnum;
  max_candidates?: number;
  /** FACE_MATCH_THRESHOLD if left out, and at least that in a search for a user. */
  min_confidence?: number;
  /** The share of searches in which a stranger may match anybody; null for no limit, which needs face:admin. */
  max_false_positive_rate?: number | null;
}

export interface SearchStats {
  scope: SearchedScope;
  /** How many may be found. A `face_group` changes nothing about it, nor about the threshold, which follows from it. */
  faces_searched: number;
  search_time_ms: number;
  threshold: Threshold;
}

export interface SearchedScope {
  everyone: boolean;
  /** On whose behalf was searched, whose own faces count; not in stored batches. Null for a service that names nobody: only public users are found then. */
  viewer?: string | null;
  /** Those of the request that counted, for this viewer. */
  user_groups: Array<string>;
  /** The one of the request, if it was searched alone. */
  face_group: string | null;
}

export interface Session {
  session_id: string;
  user_id: string;
  purpose: PurposeEnum;
  verification_level: VerificationLevelEnum;
  state: SessionState;
  created_at: string;
  expires_at: string;
  ended_at: string | null;
  /** When it last became so. */
  verified_at: string | null;
  /** That were looked at. */
  frames: number;
  /** Of the last attempt or frame. */
  risk_assessment: Risk;
}

export type SessionState = "verifying" | "verified" | "lost" | "mismatch" | "ended" | "expired";

export interface SessionWithAttempts {
  session_id: string;
  user_id: string;
  purpose: PurposeEnum;
  verification_level: VerificationLevelEnum;
  state: SessionState;
  created_at: string;
  expires_at: string;
  ended_at: string | null;
  /** When it last became so. */
  verified_at: string | null;
  /** That were looked at. */
  frames: number;
  /** Of the last attempt or frame. */
  risk_assessment: Risk;
  /** The last 20, newest first. */
  attempts: Array<Attempt>;
}

export interface SmallestFace {
  width: number;
  height: number;
  pixels: number;
}

export type TaggableEnum = "everyone" | "friends_only" | "nobody";

export interface Threshold {
  /** Which of the two decided. The scores are what a person with one face needs. */
  cut: CutEnum;
  similarity_score: number;
  confidence_score: number;
  extrapolated: boolean;
  /** This threshold is not measured with this model. */
  provisional: boolean;
}

export interface Unfriended {
  user_id: string;
  deleted: boolean;
}

export interface UnknownPeople {
  unknown_people: Array<UnknownPerson>;
  next_cursor: string | null;
}

export interface UnknownPerson {
  /** Of this job alone: another job has another one. */
  unknown_id: string;
  /** That have a face of the person: never more than one each. */
  pictures: number;
  best_image_id: string;
  /** The place of the best face in `faces` of the picture's result. */
  best_face_index: number;
}

export interface Unlocked {
  user_id: string;
  /** 0: there was no failed attempt. */
  counts_forgotten: number;
}

export interface User {
  user_id: string;
  display_name: string;
  profile_image: string;
  privacy_level: PrivacyLevelEnum;
  /** When a moderator suspended it; end users do not see what is suspended. */
  suspended_at: string | null;
  created_at: string;
}

export interface UserInfo {
  display_name: string;
  profile_image: string;
  privacy_level: PrivacyLevelEnum;
}

export interface UserList {
  users: Array<User>;
  next_cursor: string | null;
}

export interface UsersImported {
  created: number;
  changed: number;
  unchanged: number;
}

export type VerificationLevelEnum = "basic" | "standard" | "strict";

export type VerificationResultEnum = "success" | "no_match" | "no_face_detected" | "no_registered_faces" | "rejected";

export interface Verified {
  /** `rejected`: a risk rule refuses, see risk_assessment; scores are then 0. */
  verification_result: VerificationResultEnum;
  is_match: boolean;
  similarity_score: number;
  confidence_score: number;
  matched_face_id: string | null;
  /** Which of the two below decided. */
  match_on: MatchOnEnum;
  /** Against the most similar face of the user. */
  nearest_face: Scores;
  /** The mean of the scores of all faces of the user. */
  mean_face: Scores;
  verification_level: VerificationLevelEnum;
  risk_assessment: Risk;
}

export interface RegisterArguments {
  user_id: string;
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image: Blob;
  idempotency_key?: string;
  face_group?: string;
  face_index?: number;
  /** Stored with the face. `consent`: {given_at, text_version}; see docs/privacy.md. */
  metadata?: Record<string, unknown>;
}

export interface RegisterFacesArguments {
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image: Blob;
  /** Each face once, and each user once. */
  faces: Array<FaceOfPhoto>;
  idempotency_key?: string;
}

export interface VerifyArguments {
  user_id: string;
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image: Blob;
  /** Compare with this face alone. */
  face_id?: string;
  /** Compare with faces of this group alone (not with face_id). */
  face_group?: string;
  /** `standard` if left out; in a session the stricter of both. */
  verification_level?: VerificationLevelEnum;
  /** Decide by the best of the faces' scores, or by their mean (not with face_id). */
  match_on?: MatchOnEnum;
  /** `session_id`: the session of this attempt. `device_id`: see docs/risk.md. */
  metadata?: Record<string, unknown>;
}

export interface IdentifyArguments {
  on_behalf_of?: string;
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image?: Blob;
  /** In place of `image`: several photos of one unknown person, the main face of each. The mean of their scores decides. */
  images?: Array<Blob>;
  /** `all` if left out. Only beside `image`. */
  faces?: FacesEnum;
  /** Whether a person is a candidate of one face of a picture at most. If left out, true where the purpose is tagging: `source` of the metadata is `auto_tagging`, or `context` `post_upload`. */
  unique_people?: boolean;
  search_scope?: SearchScope;
  metadata?: Record<string, unknown>;
}

export interface DetectArguments {
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image: Blob;
}

export interface CompareArguments {
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image_a: Blob;
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image_b: Blob;
  /** Every face of one picture with every face of the other, or the main ones alone, which takes less time. */
  faces?: FacesEnum;
  verification_level?: VerificationLevelEnum;
}

export interface OpenSessionArguments {
  user_id: string;
  idempotency_key?: string;
  purpose?: PurposeEnum;
  verification_level?: VerificationLevelEnum;
  /** `device_id`: the device that the user verifies from. */
  metadata?: Record<string, unknown>;
}

export interface EndSessionArguments {
  session_id: string;
}

export interface GetSessionArguments {
  session_id: string;
}

export interface PostFrameArguments {
  session_id: string;
  /** JPEG, PNG, WebP or BMP, as base64 or as a data URI. */
  image: Blob;
  /** Rises with every frame; one that is not above the last is dropped. */
  sequence?: number;
  /** Instead of it, or besides: when the frame was taken. */
  captured_at?: string;
}

export interface ListUsersArguments {
  cursor?: string;
  page_size?: number;
  q?: string;
}

export interface EraseUserArguments {
  user_id: string;
}

export interface GetUserArguments {
  user_id: string;
}

export interface PutUserArguments {
  user_id: string;
  display_name?: string;
  profile_image?: string;
  privacy_level?: PrivacyLevelEnum;
}

export interface ListFacesArguments {
  user_id: string;
  cursor?: string;
  page_size?: number;
}

export interface ListGroupsOfUserArguments {
  user_id: string;
  cursor?: string;
  page_size?: number;
}

export interface SuspendUserArguments {
  user_id: string;
  on_behalf_of?: string;
  /** Kept in the audit log until the person is erased. */
  reason?: string;
}

export interface UnsuspendUserArguments {
  user_id: string;
  on_behalf_of?: string;
  /** Kept in the audit log until the person is erased. */
  reason?: string;
}

export interface UnlockUserArguments {
  user_id: string;
  on_behalf_of?: string;
  /** Kept in the audit log until the person is erased. */
  reason?: string;
}

export interface MergeUsersArguments {
  user_id: string;
  /** The user who stays. */
  into: string;
  on_behalf_of?: string;
  /** Kept in the audit log until the person is erased. */
  reason?: string;
  /** The privacy level of the user who stays; by default the stricter of both. */
  privacy_level?: PrivacyLevelEnum;
}

export interface ListFriendsArguments {
  user_id: string;
  cursor?: string;
  page_size?: number;
}

export interface DeleteFriendArguments {
  other_id: string;
  user_id: string;
}

export interface GetFriendArguments {
  other_id: string;
  user_id: string;
}

export interface PutFriendArguments {
  other_id: string;
  user_id: string;
}

export interface ListAllFacesArguments {
  user_id?: string;
  created_before?: string;
  created_since?: string;
  cursor?: string;
  face_group?: string;
  page_size?: number;
  source?: string;
}

export interface DeleteFaceArguments {
  face_id: string;
}

export interface GetFaceArguments {
  face_id: string;
}

export interface PatchFaceArguments {
  face_id: string;
  face_group?: string;
  metadata?: Record<string, unknown>;
  privacy_settings?: PrivacySettings;
}

export interface PutFaceArguments {
  face_id: string;
  face_group?: string;
  metadata?: Record<string, unknown>;
  privacy_settings?: PrivacySettings;
}

export interface GetCropArguments {
  face_id: string;
}

export interface IdentifyFaceArguments {
  face_id: string;
  on_behalf_of?: string;
  search_scope?: SearchScope;
  metadata?: Record<string, unknown>;
}

export interface SuspendFaceArguments {
  face_id: string;
  on_behalf_of?: string;
  /** Kept in the audit log until the person is erased. */
  reason?: string;
}

export interface UnsuspendFaceArguments {
  face_id: string;
  on_behalf_of?: string;
  /** Kept in the audit log until the person is erased. */
  reason?: string;
}

export interface MoveFaceArguments {
  face_id: string;
  user_id: string;
  on_behalf_of?: string;
  /** Kept in the audit log until the person is erased. */
  reason?: string;
}

export interface ListGroupsArguments {
  cursor?: string;
  page_size?: number;
}

export interface DeleteGroupArguments {
  name: string;
}

export interface GetGroupArguments {
  name: string;
}

export interface PutGroupArguments {
  name: string;
}

export interface ListMembersArguments {
  name: string;
  cursor?: string;
  page_size?: number;
}

export interface DeleteMemberArguments {
  name: string;
  user_id: string;
}

export interface GetMemberArguments {
  name: string;
  user_id: string;
}

export interface PutMemberArguments {
  name: string;
  user_id: string;
}

export interface ImportGraphArguments {
  lines: string | Blob;
}

export interface ListDuplicatesArguments {
  cursor?: string;
  page_size?: number;
  state?: "different_people" | "open" | "same_person";
}

export interface ListAuditEventsArguments {
  user_id?: string;
  action?: string;
  cursor?: string;
  page_size?: number;
  since?: string;
}

export interface ListCollectionsArguments {
  cursor?: string;
  page_size?: number;
}

export interface MakeCollectionArguments {
  /** 1 to 255 letters, digits and . _ - */
  name: string;
  /** Settings that have another value in this collection. */
  rules?: Record<string, unknown>;
}

export interface EraseCollectionArguments {
  collection: string;
}

export interface GetCollectionArguments {
  collection: string;
}

export interface ChangeCollectionArguments {
  collection: string;
  /** Whether every request for the collection is refused. */
  suspended?: boolean;
  /** Settings that are to have another value in this collection. null takes a rule back, and rules that are not named stay. */
  rules?: Record<string, unknown>;
}

export interface DecideDuplicateArguments {
  duplicate_id: number;
  decision: DecisionEnum;
  on_behalf_of?: string;
  /** For `same_person`: which of the two users stays. */
  into?: string;
  /** Kept in the audit log until the person is erased. */
  reason?: string;
}

export interface BatchIdentifyArguments {
  images: Array<BatchPicture>;
  on_behalf_of?: string;
  idempotency_key?: string;
  faces?: FacesEnum;
  /** Whether a person is a candidate of one face of a picture at most. If left out, true where the purpose is tagging: `source` of the metadata is `auto_tagging`, or `context` `post_upload`. */
  unique_people?: boolean;
  search_scope?: SearchScope;
  metadata?: Record<string, unknown>;
  processing_options?: IdentifyProcessing;
}

export interface BatchRegisterArguments {
  images: Array<BatchFace>;
  idempotency_key?: string;
  processing_options?: AlwaysAsync;
}

export interface ListBatchJobsArguments {
  cursor?: string;
  page_size?: number;
  status?: "cancelled" | "completed" | "processing" | "queued" | "timed_out";
}

export interface GetBatchJobArguments {
  job_id: string;
}

export interface ListBatchResultsArguments {
  job_id: string;
  cursor?: string;
  page_size?: number;
}

export interface ListUnknownPeopleArguments {
  job_id: string;
  cursor?: string;
  page_size?: number;
}

export interface CancelBatchJobArguments {
  job_id: string;
}

export class FaceApi extends EventTarget {
  constructor(options: {token: string; base?: string});
  token: string;
  base: string;
  /** The limit of the token as the last answer said it. */
  limit: {remaining: number; reset: number} | null;
  /** What the token says of itself. */
  readonly claims: {sub?: string; exp?: number; scope?: string};
  /** Enrol the face of a picture for a user. */
  register(args: RegisterArguments, options?: Options): Promise<Registered>;
  /** Enrol several faces of a picture, each for a user. */
  registerFaces(args: RegisterFacesArguments, options?: Options): Promise<RegisteredFaces>;
  /** Say whether a face is the user's (1:1). */
  verify(args: VerifyArguments, options?: Options): Promise<Verified>;
  /** Find who is in a picture (1:N). */
  identify(args?: IdentifyArguments, options?: Options): Promise<Identified>;
  /** List the faces in a picture, with their quality. */
  detect(args: DetectArguments, options?: Options): Promise<Detected>;
  /** Compare the faces of two pictures. */
  compare(args: CompareArguments, options?: Options): Promise<Compared>;
  /** Open a session for a login or a call. */
  openSession(args: OpenSessionArguments, options?: Options): Promise<Session>;
  /** End a session. */
  endSession(args: EndSessionArguments, options?: Options): Promise<Session>;
  /** Show a session and its last attempts. */
  getSession(args: GetSessionArguments, options?: Options): Promise<SessionWithAttempts>;
  /** Check a frame of a call. */
  postFrame(args: PostFrameArguments, options?: Options): Promise<FrameTaken>;
  /** List all users. */
  listUsers(args?: ListUsersArguments, options?: Options): Promise<UserList>;
  /** Erase all data about a user. */
  eraseUser(args: EraseUserArguments, options?: Options): Promise<Erased>;
  /** Show a user. */
  getUser(args: GetUserArguments, options?: Options): Promise<User>;
  /** Create or change a user. */
  putUser(args: PutUserArguments, options?: Options): Promise<User>;
  /** List the faces of a user. */
  listFaces(args: ListFacesArguments, options?: Options): Promise<FaceList>;
  /** List the groups of a user. */
  listGroupsOfUser(args: ListGroupsOfUserArguments, options?: Options): Promise<GroupsJoined>;
  /** Suspend a user. */
  suspendUser(args: SuspendUserArguments, options?: Options): Promise<User>;
  /** End the suspension of a user. */
  unsuspendUser(args: UnsuspendUserArguments, options?: Options): Promise<User>;
  /** Forget the failed attempts of a user. */
  unlockUser(args: UnlockUserArguments, options?: Options): Promise<Unlocked>;
  /** Merge a user into another one. */
  mergeUsers(args: MergeUsersArguments, options?: Options): Promise<User>;
  /** List the friends of a user. */
  listFriends(args: ListFriendsArguments, options?: Options): Promise<FriendList>;
  /** End a friendship. */
  deleteFriend(args: DeleteFriendArguments, options?: Options): Promise<Unfriended>;
  /** Say since when two users have been friends. */
  getFriend(args: GetFriendArguments, options?: Options): Promise<Friend>;
  /** Make two users friends. */
  putFriend(args: PutFriendArguments, options?: Options): Promise<Friend>;
  /** List faces of all users. */
  listAllFaces(args?: ListAllFacesArguments, options?: Options): Promise<FaceList>;
  /** Delete a face. */
  deleteFace(args: DeleteFaceArguments, options?: Options): Promise<Deleted>;
  /** Show a face. */
  getFace(args: GetFaceArguments, options?: Options): Promise<Face>;
  /** Change the settings of a face, as PUT does. */
  patchFace(args: PatchFaceArguments, options?: Options): Promise<Face>;
  /** Change the settings of a face. */
  putFace(args: PutFaceArguments, options?: Options): Promise<Face>;
  /** Show the kept picture of a face. */
  getCrop(args: GetCropArguments, options?: Options): Promise<Blob>;
  /** Find who is like a stored face. */
  identifyFace(args: IdentifyFaceArguments, options?: Options): Promise<IdentifiedByFace>;
  /** Suspend a face. */
  suspendFace(args: SuspendFaceArguments, options?: Options): Promise<Face>;
  /** End the suspension of a face. */
  unsuspendFace(args: UnsuspendFaceArguments, options?: Options): Promise<Face>;
  /** Give a face to another user. */
  moveFace(args: MoveFaceArguments, options?: Options): Promise<Face>;
  /** List all groups. */
  listGroups(args?: ListGroupsArguments, options?: Options): Promise<GroupList>;
  /** Delete a group and its memberships. */
  deleteGroup(args: DeleteGroupArguments, options?: Options): Promise<GroupDeleted>;
  /** Show a group. */
  getGroup(args: GetGroupArguments, options?: Options): Promise<Group>;
  /** Create a group. */
  putGroup(args: PutGroupArguments, options?: Options): Promise<Group>;
  /** List the members of a group. */
  listMembers(args: ListMembersArguments, options?: Options): Promise<MemberList>;
  /** End a membership. */
  deleteMember(args: DeleteMemberArguments, options?: Options): Promise<MemberDeleted>;
  /** Say since when a user has been a member. */
  getMember(args: GetMemberArguments, options?: Options): Promise<Member>;
  /** Make a user a member of a group. */
  putMember(args: PutMemberArguments, options?: Options): Promise<Member>;
  /** Load many users, friendships and groups at once. */
  importGraph(args: ImportGraphArguments, options?: Options): Promise<GraphImported>;
  /** List the models, and what their scores mean. */
  listModels(args?: Record<string, never>, options?: Options): Promise<ModelList>;
  /** List possible duplicates. */
  listDuplicates(args?: ListDuplicatesArguments, options?: Options): Promise<DuplicateList>;
  /** Read the audit log. */
  listAuditEvents(args?: ListAuditEventsArguments, options?: Options): Promise<AuditEventList>;
  /** List the collections. */
  listCollections(args?: ListCollectionsArguments, options?: Options): Promise<CollectionList>;
  /** Make a collection. */
  makeCollection(args: MakeCollectionArguments, options?: Options): Promise<Collection>;
  /** Erase a collection with all that is in it. */
  eraseCollection(args: EraseCollectionArguments, options?: Options): Promise<CollectionErased>;
  /** Show a collection. */
  getCollection(args: GetCollectionArguments, options?: Options): Promise<Collection>;
  /** Suspend a collection, resume it, or change its rules. */
  changeCollection(args: ChangeCollectionArguments, options?: Options): Promise<Collection>;
  /** Decide whether two users are one person. */
  decideDuplicate(args: DecideDuplicateArguments, options?: Options): Promise<Duplicate>;
  /** Find who is in each of many pictures. */
  batchIdentify(args: BatchIdentifyArguments, options?: Options): Promise<AtOnce | Job>;
  /** Enrol many faces, as a job. */
  batchRegister(args: BatchRegisterArguments, options?: Options): Promise<Job>;
  /** List your jobs. */
  listBatchJobs(args?: ListBatchJobsArguments, options?: Options): Promise<JobList>;
  /** Show a job and how far it is. */
  getBatchJob(args: GetBatchJobArguments, options?: Options): Promise<Job>;
  /** List the results of a job. */
  listBatchResults(args: ListBatchResultsArguments, options?: Options): Promise<Results>;
  /** List the unknown people of a job. */
  listUnknownPeople(args: ListUnknownPeopleArguments, options?: Options): Promise<UnknownPeople>;
  /** Cancel a job. */
  cancelBatchJob(args: CancelBatchJobArguments, options?: Options): Promise<Job>;
  /** Iterates over the items of all pages of a list. */
  each(name: "listUsers", args?: ListUsersArguments): AsyncGenerator<User>;
  each(name: "listFaces", args: ListFacesArguments): AsyncGenerator<Face>;
  each(name: "listGroupsOfUser", args: ListGroupsOfUserArguments): AsyncGenerator<GroupJoined>;
  each(name: "listFriends", args: ListFriendsArguments): AsyncGenerator<Friend>;
  each(name: "listAllFaces", args?: ListAllFacesArguments): AsyncGenerator<Face>;
  each(name: "listGroups", args?: ListGroupsArguments): AsyncGenerator<Group>;
  each(name: "listMembers", args: ListMembersArguments): AsyncGenerator<Member>;
  each(name: "listDuplicates", args?: ListDuplicatesArguments): AsyncGenerator<Duplicate>;
  each(name: "listAuditEvents", args?: ListAuditEventsArguments): AsyncGenerator<AuditEvent>;
  each(name: "listCollections", args?: ListCollectionsArguments): AsyncGenerator<Collection>;
  each(name: "listBatchJobs", args?: ListBatchJobsArguments): AsyncGenerator<Job>;
  each(name: "listBatchResults", args: ListBatchResultsArguments): AsyncGenerator<AnyItem>;
  each(name: "listUnknownPeople", args: ListUnknownPeopleArguments): AsyncGenerator<UnknownPerson>;
}
