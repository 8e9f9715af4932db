-- What a release whose newest migration was 0007 has left behind.
BEGIN TRANSACTION;
CREATE TABLE adapters (
	model VARCHAR NOT NULL, 
	adapter_id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	tenant_id VARCHAR NOT NULL, 
	base_model VARCHAR NOT NULL, 
	job_id VARCHAR, 
	step INTEGER, 
	rank INTEGER NOT NULL, 
	alpha FLOAT NOT NULL, 
	target_modules JSON NOT NULL, 
	bytes INTEGER NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	status VARCHAR NOT NULL, 
	metrics JSON NOT NULL, 
	CONSTRAINT pk_adapters PRIMARY KEY (model), 
	CONSTRAINT uq_adapters_adapter_id UNIQUE (adapter_id, version)
);
INSERT INTO "adapters" VALUES('ft:base:tunery:pirate:0000000000000003','ad-00000000000000000000000000000003',1,'acme','base','ftjob-00000000000000000000000000000003',30,8,16.0,'["q_proj", "v_proj"]',1000,'0000000000000000000000000000000000000000000000000000000000000000',1790000050.0,'ready','{"train_loss": 0.5}');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE api_keys (
	id VARCHAR NOT NULL, 
	tenant_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	scopes JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	revoked_at FLOAT, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id), 
	CONSTRAINT uq_api_keys_digest UNIQUE (digest)
);
CREATE TABLE batches (
	id VARCHAR NOT NULL, 
	tenant_id VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	endpoint VARCHAR NOT NULL, 
	input_file VARCHAR NOT NULL, 
	metadata JSON, 
	output_expires_after_s INTEGER, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	attempt INTEGER NOT NULL, 
	leased_until FLOAT NOT NULL, 
	model VARCHAR, 
	in_progress_at FLOAT, 
	finalizing_at FLOAT, 
	completed_at FLOAT, 
	failed_at FLOAT, 
	expired_at FLOAT, 
	cancelling_at FLOAT, 
	cancelled_at FLOAT, 
	total INTEGER NOT NULL, 
	completed INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	usage JSON NOT NULL, 
	errors JSON NOT NULL, 
	output_file VARCHAR, 
	error_file VARCHAR, 
	CONSTRAINT pk_batches PRIMARY KEY (id)
);
CREATE TABLE files (
	id VARCHAR NOT NULL, 
	tenant_id VARCHAR NOT NULL, 
	filename VARCHAR NOT NULL, 
	purpose VARCHAR NOT NULL, 
	bytes INTEGER NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT, 
	examples INTEGER, 
	CONSTRAINT pk_files PRIMARY KEY (id)
);
INSERT INTO "files" VALUES('file-00000000000000000000000000000001','acme','train.jsonl','fine-tune',1,'2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',1790000000.0,NULL,20);
CREATE TABLE idempotency (
	tenant_id VARCHAR NOT NULL, 
	operation VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	ordinal INTEGER NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	object_id VARCHAR NOT NULL, 
	retry_counts JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	CONSTRAINT pk_idempotency PRIMARY KEY (tenant_id, operation, "key", ordinal)
);
CREATE TABLE job_checkpoints (
	id VARCHAR NOT NULL, 
	job_id VARCHAR NOT NULL, 
	step INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	metrics JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_job_checkpoints PRIMARY KEY (id), 
	CONSTRAINT fk_job_checkpoints_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_job_checkpoints_job_id UNIQUE (job_id, step)
);
CREATE TABLE job_events (
	id VARCHAR NOT NULL, 
	job_id VARCHAR NOT NULL, 
	sequence INTEGER NOT NULL, 
	created_at FLOAT NOT NULL, 
	level VARCHAR NOT NULL, 
	type VARCHAR NOT NULL, 
	message VARCHAR NOT NULL, 
	data JSON, 
	CONSTRAINT pk_job_events PRIMARY KEY (id), 
	CONSTRAINT fk_job_events_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_job_events_job_id UNIQUE (job_id, sequence)
);
INSERT INTO "job_events" VALUES('ftevent-00000000000000000000000000000001','ftjob-00000000000000000000000000000001',1,1790000001.0,'info','message','Created fine-tuning job: ftjob-00000000000000000000000000000001',NULL);
INSERT INTO "job_events" VALUES('ftevent-00000000000000000000000000000002','ftjob-00000000000000000000000000000002',1,1790000002.0,'info','message','Created fine-tuning job: ftjob-00000000000000000000000000000002',NULL);
INSERT INTO "job_events" VALUES('ftevent-00000000000000000000000000000003','ftjob-00000000000000000000000000000003',1,1790000003.0,'info','message','Created fine-tuning job: ftjob-00000000000000000000000000000003',NULL);
INSERT INTO "job_events" VALUES('ftevent-00000000000000000000000000000004','ftjob-00000000000000000000000000000004',1,1790000004.0,'info','message','Created fine-tuning job: ftjob-00000000000000000000000000000004',NULL);
INSERT INTO "job_events" VALUES('ftevent-00000000000000000000000000000005','ftjob-00000000000000000000000000000005',1,1790000005.0,'info','message','Created fine-tuning job: ftjob-00000000000000000000000000000005',NULL);
CREATE TABLE jobs (
	id VARCHAR NOT NULL, 
	tenant_id VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	training_file VARCHAR NOT NULL, 
	validation_file VARCHAR, 
	suffix VARCHAR, 
	seed INTEGER NOT NULL, 
	hyperparameters JSON NOT NULL, 
	lora JSON NOT NULL, 
	metadata JSON, 
	created_at FLOAT NOT NULL, 
	attempt INTEGER NOT NULL, 
	losses INTEGER NOT NULL, 
	started_at FLOAT, 
	finished_at FLOAT, 
	estimated_finish FLOAT, 
	trained_tokens INTEGER, 
	fine_tuned_model VARCHAR, 
	result_files JSON NOT NULL, 
	error JSON, 
	progress JSON, 
	timings JSON, integrations JSON, priority INTEGER DEFAULT '0' NOT NULL, memory_bytes BIGINT DEFAULT '0' NOT NULL, waiting_since FLOAT, not_before FLOAT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_jobs PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('ftjob-00000000000000000000000000000001','acme','queued','base','file-00000000000000000000000000000001',NULL,'pirate',7,'{"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 1.0}','{"rank": 8, "alpha": 16.0, "dropout": 0.0, "quantization": "none"}','{"team": "sea"}',1790000001.0,0,0,NULL,NULL,NULL,NULL,NULL,'[]',NULL,NULL,NULL,NULL,0,0,NULL,0.0);
INSERT INTO "jobs" VALUES('ftjob-00000000000000000000000000000002','acme','running','base','file-00000000000000000000000000000001',NULL,'pirate',7,'{"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 1.0}','{"rank": 8, "alpha": 16.0, "dropout": 0.0, "quantization": "none"}','{"team": "sea"}',1790000002.0,1,0,1790000060.0,NULL,NULL,NULL,NULL,'[]',NULL,'{"step": 1, "total_steps": 30, "epoch": 0.1, "train_loss": 2.0, "train_mean_token_accuracy": 0.5, "learning_rate": 0.0001, "tokens": 10, "tokens_per_s": 5.0, "seconds_left": 58.0}',NULL,NULL,0,0,NULL,0.0);
INSERT INTO "jobs" VALUES('ftjob-00000000000000000000000000000003','acme','succeeded','base','file-00000000000000000000000000000001',NULL,'pirate',7,'{"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 1.0}','{"rank": 8, "alpha": 16.0, "dropout": 0.0, "quantization": "none"}','{"team": "sea"}',1790000003.0,1,0,1790000010.0,1790000050.0,NULL,400,'ft:base:tunery:pirate:0000000000000003','[]',NULL,NULL,NULL,NULL,0,0,NULL,0.0);
INSERT INTO "jobs" VALUES('ftjob-00000000000000000000000000000004','acme','failed','base','file-00000000000000000000000000000001',NULL,'pirate',7,'{"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 1.0}','{"rank": 8, "alpha": 16.0, "dropout": 0.0, "quantization": "none"}','{"team": "sea"}',1790000004.0,3,3,1790000010.0,1790000050.0,NULL,NULL,NULL,'[]','{"code": "worker_crashed", "message": "The worker was lost 3 times while it ran this job.", "param": null}',NULL,NULL,NULL,0,0,NULL,0.0);
INSERT INTO "jobs" VALUES('ftjob-00000000000000000000000000000005','acme','cancelled','base','file-00000000000000000000000000000001',NULL,'pirate',7,'{"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 1.0}','{"rank": 8, "alpha": 16.0, "dropout": 0.0, "quantization": "none"}','{"team": "sea"}',1790000005.0,0,0,NULL,1790000006.0,NULL,NULL,NULL,'[]',NULL,NULL,NULL,NULL,0,0,NULL,0.0);
CREATE TABLE permissions (
	id VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	project_id VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_permissions PRIMARY KEY (id), 
	CONSTRAINT uq_permissions_model UNIQUE (model, project_id)
);
CREATE TABLE tenant_policies (
	tenant_id VARCHAR NOT NULL, 
	weight FLOAT, 
	max_running INTEGER, 
	max_waiting INTEGER, 
	preemptible BOOLEAN, 
	CONSTRAINT pk_tenant_policies PRIMARY KEY (tenant_id)
);
CREATE TABLE upload_parts (
	id VARCHAR NOT NULL, 
	upload_id VARCHAR NOT NULL, 
	bytes BIGINT NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_upload_parts PRIMARY KEY (id), 
	CONSTRAINT fk_upload_parts_upload_id FOREIGN KEY(upload_id) REFERENCES uploads (id) ON DELETE CASCADE
);
CREATE TABLE uploads (
	id VARCHAR NOT NULL, 
	tenant_id VARCHAR NOT NULL, 
	filename VARCHAR NOT NULL, 
	mime_type VARCHAR NOT NULL, 
	purpose VARCHAR NOT NULL, 
	bytes BIGINT NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	expires_after_s INTEGER, 
	status VARCHAR NOT NULL, 
	part_ids JSON NOT NULL, 
	file_id VARCHAR, 
	CONSTRAINT pk_uploads PRIMARY KEY (id)
);
CREATE TABLE webhook_deliveries (
	event_id VARCHAR NOT NULL, 
	endpoint_id VARCHAR NOT NULL, 
	type VARCHAR NOT NULL, 
	object_id VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	due_at FLOAT, 
	attempts INTEGER NOT NULL, 
	outcome VARCHAR, 
	CONSTRAINT pk_webhook_deliveries PRIMARY KEY (event_id, endpoint_id), 
	CONSTRAINT fk_webhook_deliveries_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES webhook_endpoints (id) ON DELETE CASCADE
);
CREATE TABLE webhook_endpoints (
	id VARCHAR NOT NULL, 
	tenant_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	url VARCHAR NOT NULL, 
	event_types JSON NOT NULL, 
	secret VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	disabled_at FLOAT, 
	CONSTRAINT pk_webhook_endpoints PRIMARY KEY (id)
);
CREATE INDEX ix_adapters_job_id ON adapters (job_id);
CREATE INDEX ix_adapters_tenant_created ON adapters (tenant_id, created_at, model);
CREATE INDEX ix_files_tenant_created ON files (tenant_id, created_at, id);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE INDEX ix_jobs_tenant_created ON jobs (tenant_id, created_at, id);
CREATE INDEX ix_idempotency_object_id ON idempotency (object_id);
CREATE INDEX ix_idempotency_expires_at ON idempotency (expires_at);
CREATE INDEX ix_webhook_endpoints_tenant_created ON webhook_endpoints (tenant_id, created_at, id);
CREATE INDEX ix_webhook_deliveries_created_at ON webhook_deliveries (created_at);
CREATE INDEX ix_webhook_deliveries_due_at ON webhook_deliveries (due_at);
CREATE INDEX ix_webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id);
CREATE INDEX ix_batches_status ON batches (status);
CREATE INDEX ix_batches_tenant_created ON batches (tenant_id, created_at, id);
CREATE INDEX ix_uploads_tenant_status ON uploads (tenant_id, status);
CREATE INDEX ix_uploads_status_expires ON uploads (status, expires_at);
CREATE INDEX ix_upload_parts_upload_id ON upload_parts (upload_id);
COMMIT;
